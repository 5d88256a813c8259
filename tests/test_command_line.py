"""The command line, made from the settings: every field is an option; a run can be repeated."""

import builtins
import dataclasses
import os
import signal
import sys
import warnings
from functools import partial

import docstring_parser
import pytest

from kit import store
from kit.__main__ import COMMANDS, main, restart_with_large_pages
from kit.commands import CLASSES, parse, read_config
from kit.demo import DemoConfig, LearnConfig, plain_config
from kit.student.minkunet.config import MinkUNetConfig


def test_every_command_has_options_and_a_description():
    assert list(COMMANDS) == list(CLASSES)


def test_without_a_command_all_are_listed(capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in COMMANDS)


def test_an_unknown_command_is_named(capsys):
    assert main(["demoo"]) == 2
    assert "demoo" in capsys.readouterr().err


def fields_of(settings, prefix=""):
    """The option of every field of nested settings."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        flat = field.name in ("config", "distill")  # options without a prefix
        name = prefix if flat else f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from fields_of(value, prefix if flat else f"{name}.")
        else:
            yield f"--{name.replace('_', '-')}"


@pytest.mark.parametrize("command", ["demo", "distill"])
@pytest.mark.parametrize("student", ["wi-6-128", "minkunet-18"])
def test_every_field_of_every_setting_is_an_option_with_help(command, student, capsys):
    with pytest.raises(SystemExit):
        parse(command, ["--student", student, "--help"])
    printed = capsys.readouterr().out
    options = list(fields_of(parse(command, ["--student", student])))
    assert len(options) > 25
    assert [option for option in options if option not in printed] == []


def documented(settings):
    """Names in the Attributes sections of a class and of those it inherits from."""
    docs = [docstring_parser.parse(kind.__doc__ or "") for kind in type(settings).__mro__]
    return {param.arg_name for doc in docs for param in doc.params}


@pytest.mark.parametrize("command", [*CLASSES, "demo --student minkunet-18"])
def test_every_field_of_every_setting_is_documented_by_itself(command):
    name, *options = command.split()
    required = {"features": ["--checkpoint", "x", "--out", "y"], "street": ["--out", "x"]}
    required |= {"import-checkpoint": ["x"], "bench": ["x"], "ablate": ["x"], "doctor": ["x"]}
    required |= {"init-recording": ["x"], "evaluate": ["--checkpoint", "x"]}
    required |= {"discover": ["--out", "x"]}
    required |= {"teacher-features": ["--out", "x"], "export": ["x"]}
    waiting = [parse(name, options + required.get(name, []))]
    while waiting:
        settings = waiting.pop()
        names = {field.name for field in dataclasses.fields(settings)}
        assert names - documented(settings) == set(), type(settings).__name__
        values = [getattr(settings, each) for each in names]
        waiting += [value for value in values if dataclasses.is_dataclass(value)]


def test_options_reach_their_settings():
    options = "--steps 7 --lr 1e-3 --student.width 32 --teacher.image-size 224 448 --probe.steps 9"
    config = parse("demo", options.split()).config
    assert (config.distill.steps, config.distill.lr) == (7, 1e-3)
    assert (config.student.width, config.probe.steps) == (32, 9)
    assert config.teacher.image_size == (224, 448)


def test_shorthands_name_a_preset_and_a_teacher():
    config = parse(
        "distill", "--student minkunet-18 --teacher dinov2_vits14 --student.depth 34".split()
    ).config
    assert isinstance(config.student, MinkUNetConfig) and config.student.depth == 34
    assert config.teacher.name == "dinov2_vits14"


@pytest.mark.parametrize(
    "options",
    ["--stepz 5", "--probe.steps 3", "--steps many", "--student.cylindrical", "--prob 1"],
)
def test_unknown_unused_and_malformed_options_are_errors(options, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse("distill", options.split())
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert options.split()[0].lstrip("-") in printed


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("distill --steps 0", "steps"),
        ("demo --student.depth 0", "depth"),
        ("distill --lr 0", "lr must be a number, above 0"),
        ("distill --lr 1e6", "lr must be a number, above 0 and at most 10"),
        ("demo --lr nan", "lr must be a number"),
        ("demo --min-lr 1", "min_lr must be a number, at least 0"),
        ("distill --weight-decay inf", "weight_decay must be"),
        ("distill --warmup 2", "warmup must be"),
        ("distill --seed -1", "seed must be a whole number from 0"),
        ("distill --precision bf16-true", "precision must be one of"),
        ("distill --num-workers -1", "num_workers must be"),
        ("cache --limit much", "--limit: expected a size such as 20GB"),
    ],
)
def test_a_setting_out_of_range_is_named_without_a_trace(options, named, capsys):
    try:
        status = main(options.split())
    except SystemExit as stopped:
        status = stopped.code
    printed = capsys.readouterr().err
    assert status in (1, 2) and named in printed and "Traceback" not in printed


def stopped_by(monkeypatch, capsys, action):
    """Exit status and messages of a command that ends with an action."""
    monkeypatch.setattr(CLASSES["cache"], "run", lambda self: action())
    return main(["cache"]), capsys.readouterr().err


def raiser(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    "kind",
    "ValueError OSError RuntimeError ZeroDivisionError FloatingPointError OverflowError "
    "ImportError MemoryError".split(),
)
def test_errors_that_a_user_can_fix_are_one_line(kind, monkeypatch, capsys):
    kind = getattr(builtins, kind)
    status, printed = stopped_by(monkeypatch, capsys, raiser(kind("x.json: what to do")))
    assert (status, printed) == (1, "error: x.json: what to do\n(--trace shows where)\n")
    _, printed = stopped_by(monkeypatch, capsys, raiser(kind()))
    assert printed.startswith(f"error: {kind.__name__}\n")  # never an empty message
    with pytest.raises(kind):
        main(["cache", "--trace"])


def test_a_warning_is_one_line(monkeypatch, capsys):
    def action():
        with warnings.catch_warnings():  # pytest collects warnings otherwise
            warnings.showwarning = lambda *given: print(warnings.formatwarning(*given[:4]), end="")
            warnings.simplefilter("always")
            warnings.warn("the cache is full", stacklevel=1)

    monkeypatch.setattr(CLASSES["cache"], "run", lambda self: action())
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == "warning: the cache is full\n"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux offers large pages")
def test_a_command_starts_again_with_large_pages_once(monkeypatch):
    started = []
    monkeypatch.setattr(os, "execve", lambda *call: started.append(call))
    monkeypatch.setattr(sys, "orig_argv", ["python", "-W", "error", "-m", "kit", "demo"])
    monkeypatch.setattr(sys, "gettrace", lambda: None)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    restart_with_large_pages()
    ((program, arguments, environment),) = started
    assert program == sys.executable
    assert arguments == [sys.executable, "-W", "error", "-m", "kit", "demo"]
    assert environment == {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")  # as a user set it
    restart_with_large_pages()
    assert len(started) == 1


def test_ctrl_c_and_sigterm_end_a_command_without_a_trace(monkeypatch, capsys):
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        assert stopped_by(monkeypatch, capsys, raiser(KeyboardInterrupt)) == (
            130,
            "\ninterrupted\n",
        )
        action = partial(signal.raise_signal, signal.SIGTERM)
        assert stopped_by(monkeypatch, capsys, action) == (130, "\nstopped by SIGTERM\n")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("nested", [False, True])
def test_a_config_file_gives_the_settings_of_a_run(tmp_path, nested):
    options = "--student minkunet-18 --steps 3 --loss cosine --teacher.scales 1.0 2.0".split()
    config = parse("demo", options).config
    content = plain_config(config)
    store.write_json(tmp_path / "run.json", {"settings": content} if nested else content)
    again = parse("demo", ["--config", str(tmp_path / "run.json")]).config
    assert again == config
    changed = parse("demo", ["--config", str(tmp_path / "run.json"), "--steps", "4"]).config
    assert changed == dataclasses.replace(
        config, distill=dataclasses.replace(config.distill, steps=4)
    )


def test_a_config_file_with_an_unknown_setting_names_it(tmp_path):
    content = plain_config(DemoConfig()) | {"distil": {}}
    store.write_json(tmp_path / "run.json", content)
    with pytest.raises(ValueError, match="distil.*did you mean distill"):
        read_config(tmp_path / "run.json", DemoConfig)


def test_settings_that_a_command_does_not_use_are_refused(tmp_path):
    store.write_json(tmp_path / "run.json", plain_config(DemoConfig()))
    with pytest.raises(ValueError, match="probe"):
        read_config(tmp_path / "run.json", LearnConfig)


@pytest.mark.parametrize(
    ("options", "used_by"),
    [
        ("--loss l2 --superpixels teacher", "slidr"),
        ("--loss ppkt --moment_step=3", "superflow"),
        ("--schedule rsqrt --min-lr 1e-4", "--schedule cosine"),
    ],
)
def test_an_option_that_others_make_useless_is_an_error(options, used_by):
    with pytest.raises(ValueError, match="is not used by") as caught:
        parse("distill", options.split())
    assert used_by in str(caught.value)


def test_such_an_option_is_accepted_where_it_is_used():
    config = parse("distill", ["--loss", "slidr", "--superpixels", "teacher"]).config
    assert config.distill.superpixels == "teacher"
