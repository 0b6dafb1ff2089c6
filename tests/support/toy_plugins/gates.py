"""Gates with a grudge."""

from bench.analysis.gates import Verdict


def of_round():
    def judge(record):
        outcome = "fail" if record["defense"]["name"] == "toy-round" else "pass"
        return Verdict("a name of its own", outcome, f"{record['samples']} images were <b>judged</b>.")

    return judge


def broken():
    def judge(record):
        record.clear()  # its own copy
        raise KeyError("what it looked for")

    return judge


def of_rows():
    def judge(evidence):
        names = ", ".join(attack.name for attack in evidence.raw)
        return Verdict("row", "fail" if evidence.row.defense["name"] == "toy-round" else "pass", f"Raw: {names}.")

    return judge
