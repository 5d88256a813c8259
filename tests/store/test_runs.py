"""Runs: how they were made is written down, and they continue bit for bit."""

import socket
import subprocess
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import nn

from kit import store


@dataclass(frozen=True)
class Settings:
    width: int = 8
    out: Path = Path("runs/x")
    betas: tuple[float, float] = (0.9, 0.99)


def test_how_a_run_was_made_is_written_to_its_folder(tmp_path):
    run = store.start_run(tmp_path / "run", Settings(), seed=5)
    on_disk = store.read_json(tmp_path / "run" / "run.json")
    assert on_disk == run
    assert run["config"] == {"width": 8, "out": "runs/x", "betas": [0.9, 0.99]}
    assert run["seed"] == 5 and run["versions"]["torch"] == torch.__version__
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert head.returncode != 0 or run["commit"] == head.stdout.strip()
    assert socket.gethostname() not in run["machine"].values()


def test_a_resumed_run_keeps_the_earlier_descriptions(tmp_path):
    for width in (1, 2, 3):
        store.start_run(tmp_path, replace(Settings(), width=width), seed=5, resumed=width > 1)
    run = store.read_json(tmp_path / "run.json")
    assert [run["config"]["width"], *(r["config"]["width"] for r in run["earlier"])] == [3, 1, 2]
    assert "earlier" not in store.start_run(tmp_path, Settings(), seed=5)


def test_a_run_is_described_in_json_types():
    run = store.describe_run({"width": torch.tensor(3), "rate": float("nan")}, seed=4)
    assert run["config"] == {"width": 3, "rate": None} and run["seed"] == 4
    assert run["started"].endswith("+00:00") and run["num_threads"] == torch.get_num_threads()
    assert "settings" not in run


def test_the_settings_of_the_command_are_kept(tmp_path):
    settings = {"student": Settings(), "device": torch.device("cpu")}
    store.start_run(tmp_path, Settings(), seed=5, settings=settings)
    kept = store.read_json(tmp_path / "run.json")["settings"]
    assert kept == {"device": "cpu", "student": store.to_plain(Settings())}


def train_a_little():
    """A model, and its optimizer after one step."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_a_checkpoint_is_one_checked_file(tmp_path):
    model, optimizer = train_a_little()
    assert store.load_checkpoint(tmp_path) is None
    store.save_checkpoint(tmp_path, 1, model, optimizer, {"epoch": 2})
    files = {path.name for path in tmp_path.iterdir()} - {store.LOCK}
    assert files == {"checkpoint.safetensors", "checkpoint.safetensors.sha256"}
    checkpoint = store.load_checkpoint(tmp_path)
    assert (checkpoint.step, checkpoint.meta) == (1, {"epoch": 2})
    assert torch.equal(checkpoint.model["weight"], model.weight)
    store.save_tensors(tmp_path / "checkpoint.safetensors", {}, {"name": "student"})
    with pytest.raises(ValueError, match="checkpoint.safetensors: expected a checkpoint"):
        store.load_checkpoint(tmp_path)


def test_nothing_needs_a_network(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(socket, "socket", unreachable)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    model, optimizer = train_a_little()
    store.start_run(tmp_path, Settings(), seed=1)
    store.save_checkpoint(tmp_path, 0, model, optimizer)
    store.load_checkpoint(tmp_path)
    store.FeatureCache(tmp_path / "c").get_or_compute("k", lambda: {"x": torch.ones(1)})


def same_weights(one, other):
    others = other.state_dict()
    return all(torch.equal(value, others[name]) for name, value in one.state_dict().items())


def make_training(seed: int, flavour: str = "adamw"):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    named = dict(reversed(list(model.named_parameters())))  # not the model's order
    decayed = [name for name in named if named[name].ndim > 1]
    rest = [name for name in named if named[name].ndim == 1]
    groups = [
        {"params": [named[n] for n in decayed], "weight_decay": 0.1},
        {"params": [named[n] for n in rest], "weight_decay": 0.0, "lr": 3e-3},
    ]
    makers = {
        "adamw": lambda: torch.optim.AdamW(groups, lr=1e-2, betas=(0.8, 0.95)),
        "amsgrad": lambda: torch.optim.AdamW(groups, lr=1e-2, amsgrad=True, foreach=True),
        "sgd": lambda: torch.optim.SGD(groups, lr=1e-2, momentum=0.9),
    }
    return model, makers[flavour]()


def train(model, optimizer, steps):
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(32, 6, generator=generator)
        loss = (model(x) - x[:, :3].sin()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for group in optimizer.param_groups:
            group["lr"] *= 0.97


@pytest.mark.parametrize("flavour", ["adamw", "amsgrad", "sgd"])
def test_resuming_equals_not_stopping_bit_for_bit(tmp_path, flavour):
    model, optimizer = make_training(1, flavour)
    train(model, optimizer, range(7))
    store.save_checkpoint(tmp_path, 7, model, optimizer, {"epoch": 2})
    train(model, optimizer, range(7, 14))

    fresh, fresh_optimizer = make_training(99, flavour)
    store.load_checkpoint(tmp_path).restore(fresh, fresh_optimizer)
    train(fresh, fresh_optimizer, range(7, 14))
    assert same_weights(fresh, model)
    assert fresh.state_dict()["1.num_batches_tracked"] == 14


def test_a_checkpoint_names_its_tensors(tmp_path):
    model, optimizer = make_training(1)
    train(model, optimizer, range(2))
    store.save_checkpoint(tmp_path, 2, model, optimizer)
    tensors, _ = store.load_tensors(tmp_path / "checkpoint.safetensors")
    assert torch.equal(tensors["model.3.weight"], model[3].weight)
    moment = optimizer.state[model[3].weight]["exp_avg"]
    assert torch.equal(tensors["optimizer.3.weight.exp_avg"], moment)
    assert tensors["optimizer.0.bias.step"] == 2


def test_another_models_checkpoint_is_refused(tmp_path):
    model, optimizer = make_training(1)
    train(model, optimizer, range(2))
    store.save_checkpoint(tmp_path, 2, model, optimizer)
    checkpoint = store.load_checkpoint(tmp_path)
    renamed = {name.replace("3", "head"): part for name, part in model.named_children()}
    other = nn.Sequential(OrderedDict(renamed))
    with pytest.raises(ValueError, match="head.weight"):
        checkpoint.restore(other, torch.optim.AdamW(other.parameters()))
    one_group = torch.optim.AdamW(model.parameters())
    with pytest.raises(ValueError, match="other parameter groups"):
        checkpoint.restore(model, one_group)


def test_an_optimizer_of_another_model_is_refused(tmp_path):
    model, optimizer = make_training(1)
    with pytest.raises(ValueError, match="6 of the optimizer's parameters"):
        store.save_checkpoint(tmp_path, 2, nn.Linear(2, 2), optimizer)
    assert store.load_checkpoint(tmp_path) is None


def test_names_find_their_parameters_in_another_order(tmp_path):
    model, optimizer = make_training(1)
    train(model, optimizer, range(3))
    store.save_checkpoint(tmp_path, 3, model, optimizer)

    turned = [{"params": group["params"][::-1]} for group in optimizer.param_groups]
    other = torch.optim.AdamW(turned)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    store.load_checkpoint(tmp_path).restore(model, other)
    assert turned[0]["params"][0] is not optimizer.param_groups[0]["params"][0]
    for parameter, state in optimizer.state.items():
        for what, value in state.items():
            assert torch.equal(other.state[parameter][what], value)
    settings = [{**g, "params": None} for g in optimizer.param_groups]
    assert [{**g, "params": None} for g in other.param_groups] == settings
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def old_checkpoint(folder, step, model, optimizer, names, meta):
    """Write a checkpoint as the kit did before torch.distributed.checkpoint named the parameters.

    The state of torch's own state_dict is numbered; each number stands for a name.
    """
    state = optimizer.state_dict()
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    numbers = {}
    for index, values in state["state"].items():
        for what, value in values.items():
            place = tensors if isinstance(value, torch.Tensor) else numbers
            place[f"optimizer.{names[index]}.{what}"] = value
    groups = [
        {**{k: v for k, v in group.items() if k != "params"}, "names": [names[i] for i in members]}
        for group in state["param_groups"]
        for members in [group["params"]]
    ]
    header = {"step": step, "groups": groups, "numbers": numbers, "meta": meta}
    store.save_tensors(folder / "checkpoint.safetensors", tensors, header)


@pytest.mark.parametrize("flavour", ["adamw", "amsgrad", "sgd"])
def test_older_checkpoints_load_and_continue_bit_for_bit(tmp_path, flavour):
    model, optimizer = make_training(1, flavour)
    train(model, optimizer, range(7))
    names_of = {parameter: name for name, parameter in model.named_parameters()}
    names = [names_of[p] for group in optimizer.param_groups for p in group["params"]]
    assert names != [name for name, _ in model.named_parameters()]
    old_checkpoint(tmp_path, 7, model, optimizer, names, {"epoch": 2})
    train(model, optimizer, range(7, 14))

    fresh, fresh_optimizer = make_training(99, flavour)
    checkpoint = store.load_checkpoint(tmp_path)
    assert (checkpoint.step, checkpoint.meta) == (7, {"epoch": 2})
    checkpoint.restore(fresh, fresh_optimizer)
    train(fresh, fresh_optimizer, range(7, 14))
    assert same_weights(fresh, model)


def test_the_layout_of_the_file_is_the_old_one(tmp_path):
    model, optimizer = make_training(1)
    train(model, optimizer, range(2))
    names_of = {parameter: name for name, parameter in model.named_parameters()}
    names = [names_of[p] for group in optimizer.param_groups for p in group["params"]]
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    old_checkpoint(tmp_path / "old", 2, model, optimizer, names, {"epoch": 2})
    store.save_checkpoint(tmp_path / "new", 2, model, optimizer, {"epoch": 2})
    old, new = (tmp_path / folder / "checkpoint.safetensors" for folder in ("old", "new"))
    assert old.read_bytes() == new.read_bytes()


def test_saving_before_the_first_step_changes_nothing(tmp_path):
    (model, optimizer), (twin, twin_optimizer) = make_training(1), make_training(1)
    store.save_checkpoint(tmp_path, 0, model, optimizer)
    assert not optimizer.state
    fresh, fresh_optimizer = make_training(99)
    store.load_checkpoint(tmp_path).restore(fresh, fresh_optimizer)
    for each in ((model, optimizer), (twin, twin_optimizer), (fresh, fresh_optimizer)):
        train(*each, range(3))
    assert same_weights(model, twin) and same_weights(fresh, twin)


def test_a_parameter_without_gradient_has_no_state_and_continues(tmp_path):
    def made():
        model = nn.ModuleDict({"used": nn.Linear(2, 2), "unused": nn.Linear(2, 2)})
        return model, torch.optim.AdamW(model.parameters())

    def step(model, optimizer):
        optimizer.zero_grad()
        model["used"](torch.ones(1, 2)).sum().backward()
        optimizer.step()

    model, optimizer = made()
    step(model, optimizer)
    store.save_checkpoint(tmp_path, 1, model, optimizer)
    fresh, fresh_optimizer = made()
    store.load_checkpoint(tmp_path).restore(fresh, fresh_optimizer)
    assert len(fresh_optimizer.state) == len(optimizer.state) == 2
    for each in ((model, optimizer), (fresh, fresh_optimizer)):
        step(*each)
    assert same_weights(model, fresh)


@pytest.mark.parametrize("fused", [None, True])
def test_an_optimizer_keeps_its_own_way_to_compute(tmp_path, fused):
    """A checkpoint of a CPU continues on a GPU with the fused optimizer, and the other way."""

    def trained(way, steps, folder=None):
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=way)
        if folder is not None:
            store.load_checkpoint(folder).restore(model, optimizer)
        for _ in range(steps):
            model(torch.ones(1, 3)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
        return model, optimizer

    store.save_checkpoint(tmp_path, 3, *trained(fused, 3))
    other = None if fused else True
    model, optimizer = trained(other, 2, tmp_path)
    assert optimizer.param_groups[0]["fused"] is other
    expected, _ = trained(None, 5)
    torch.testing.assert_close(model.weight, expected.weight)
    assert {float(state["step"]) for state in optimizer.state.values()} == {5.0}
