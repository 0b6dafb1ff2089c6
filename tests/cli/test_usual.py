from __future__ import annotations

import pytest

from bench import usual
from bench.cli import app, main, run
from bench.errors import UnknownName


def said(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "proposed"),
    [
        (("list",), "Did you mean 'plugins'?"),
        (("superoit",), "Known: "),
        (("rnu",), "Did you mean 'run'?"),
        (("run", "--workers", "2"), "'--jobs'?"),
        (("run", "-j", "2"), "'--jobs'?"),
        (("run", "--epsilon", "0.1"), "'--eps'?"),
        (("run", "--sampels", "5"), "'--samples'"),
    ],
)
def test_what_other_tools_call_a_verb_or_a_flag_is_understood(capsys, arguments, proposed):
    assert proposed in said(capsys, *arguments)


def test_settings_of_a_file_too(capsys, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("num_workers = 3")
    assert f"Unknown setting 'num_workers' in {path}. Did you mean 'jobs'?" in said(
        capsys, "plan", "--config", str(path)
    )


def test_every_usual_word_leads_to_something_that_is_there_and_hides_nothing():
    flags = {option.strip("-") for parameter in run.command.params for option in parameter.opts}
    for table, known in ((usual._VERBS, set(app.VERBS)), (usual._FLAGS, flags)):
        assert set(table.values()) <= known
        assert not set(table) & known


def test_a_usual_word_is_no_name_of_a_plugin_that_is_not_there():
    assert "Did you mean 'superiot'?" in str(UnknownName("defense", "superoit", ["superiot"]))
    assert "Known: superiot" in str(UnknownName("defense", "workers", ["superiot"]))
