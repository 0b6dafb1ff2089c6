"""A third party's plugin for the tests: tiny, fast, with parts that misbehave on purpose."""

from bench.plugins.entries import Attack, Dataset, Defense, Gate, Model, Settings, ThreatSpec
from bench.plugins.hookspecs import hookimpl
from bench.plugins.parameters import Parameter


def _attack(name, factory, **more):
    more = {"norm": "linf", "access": "score", "default": False, **more}
    return Attack(name=name, factory=f"toy_plugins.attacks:{factory}", summary=name, **more)


@hookimpl
def bench_datasets():
    return [
        Dataset(
            name="toy",
            factory="toy_plugins.data:Toy",
            summary="Four brightness patterns, 1x8x8.",
            default_model="toy-net",
            threats=(ThreatSpec(norm="linf", epsilons=(0.1, 0.2)), ThreatSpec(norm="l2", epsilons=(0.5,))),
            held_out_share=0.1,
        )
    ]


@hookimpl
def bench_models():
    return [Model(name="toy-net", factory="toy_plugins.data:ToyNet", summary="One linear layer.")]


@hookimpl
def bench_defenses():
    names = {
        "toy-coin": "Coin",
        "toy-noise": "Noise",
        "toy-gain": "Gain",
        "toy-nan-gradient": "NaNGradient",
        "toy-round": "Rounding",
        "toy-shattered": "Shattered",
        "toy-turned": "Turned",
        "toy-cheat-labels": "LabelCheat",
        "toy-cheat-rows": "RowCheat",
        "toy-cheat-memory": "MemoryCheat",
        "toy-cheat-draws": "DrawsCheat",
        "toy-secret-noise": "SecretNoise",
        "toy-fit-fails": "FitFails",
        "toy-sealed": "Sealed",
        "toy-rejects-oddly": "RejectsOddly",
        "toy-views": "Views",
    }
    return [
        *[Defense(name=n, factory=f"toy_plugins.defenses:{f}", summary=n, family="toy") for n, f in names.items()],
        Defense(
            name="toy-lends", factory="toy_plugins.defenses:Plain", summary="its images", family="toy", transfers=True
        ),
        Defense(
            name="toy-rejects",
            factory="toy_plugins.defenses:Rejects",
            summary="a detector",
            family="toy",
            parameters=(
                Parameter(name="threshold", type=float, default=0.5, help="", fits=False),
                Parameter(name="refuses", type=bool, default=True, help="", fits=False),
            ),
        ),
        *[
            Defense(
                name=name,
                factory="toy_plugins.defenses:Rounding",
                summary="brings an attack and a certificate of its own",
                family="toy-own-family",
                adaptive_attacks=(
                    Attack(
                        name="toy-insider",
                        factory="toy_plugins.attacks:Insider",
                        summary="sees the stages",
                        norm="linf",
                        access="score",
                    ),
                ),
                certificate=f"toy_plugins.certificates:{certificate}",
            )
            for name, certificate in (("toy-own", "bright"), ("toy-own-wrong", "shares"))
        ],
        Defense(
            name="toy-learns",
            factory="toy_plugins.defenses:Learns",
            summary="learns a number by chance",
            family="toy",
            weights="toy_fits:weights",
            parameters=(
                Parameter(name="size", type=int, default=1, help=""),
                Parameter(name="mood", type=str, default="good", help="", fits=False),
            ),
        ),
        Defense(
            name="toy-third",
            factory="toy_plugins.defenses:Third",
            summary="learns thirds",
            family="toy",
            parameters=(Parameter(name="fragile", type=bool, default=False, help=""),),
        ),
        Defense(
            name="toy-absent",
            factory="no_such_module:Defense",
            summary="needs what is not installed",
            family="toy-absent-family",
            requires=("no-such-distribution",),
        ),
    ]


@hookimpl
def bench_attacks():
    short = Settings(timeout_s=2.0, block=64)
    return [
        *[_attack(f"toy-null-{i:02}", "Null") for i in range(30)],
        _attack("toy-step", "Step", access="gradient", core="fgsm"),
        _attack("toy-steps", "Steps", access="gradient", core="pgd-ce"),
        _attack("toy-steps-too", "Steps", access="gradient", core="apgd-dlr"),
        _attack("toy-continues", "Continues", access="gradient", takes_start=True),
        _attack("toy-explores", "Steps", access="gradient", explores=True),
        _attack("toy-early", "stops_early", access="gradient", core="pgd-ce"),
        _attack("toy-stumbles", "Stumbles", access="gradient", core="pgd-ce"),
        _attack("toy-idle", "Idle", access="gradient", core="pgd-ce"),
        _attack("toy-forgets", "Forgets", access="gradient", core="apgd-dlr"),
        _attack("toy-clocked", "Clocked", core="square"),
        _attack("toy-signs", "Null", core="square"),
        _attack("toy-raise", "Raises"),
        _attack("toy-hang", "Hangs", quick=short, standard=short),
        _attack("toy-die", "Dies"),
        _attack("toy-grow", "Grows"),
        _attack("toy-nan", "NotFinite"),
        _attack("toy-outside", "Outside"),
        _attack("toy-needs", "Null", requires=("no-such-distribution",), default=True),
    ]


@hookimpl
def bench_gates():
    return [
        Gate(name="toy-gate", factory="toy_plugins.gates:of_round", summary="Fails the rounding defense."),
        Gate(name="toy-gate-mild", factory="toy_plugins.gates:of_round", summary="Bars nothing.", bars_ranking=False),
        Gate(
            name="toy-gate-row", factory="toy_plugins.gates:of_rows", summary="Rows.", scope="row", bars_ranking=False
        ),
        Gate(name="toy-gate-raises", factory="toy_plugins.gates:broken", summary="Breaks where it is asked."),
    ]
