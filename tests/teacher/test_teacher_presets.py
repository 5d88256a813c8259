"""Teachers by name: all of the table, options that a teacher lacks, and a new teacher."""

import inspect
from dataclasses import fields, replace

import pytest
import timm
import torch
from scratch_teacher import ColourTeacher

import kit
from kit.teacher.clip import PAIRS, ClipTeacher
from kit.teacher.presets import RECIPES, TEACHERS, TeacherConfig, build_teacher
from kit.teacher.teacher import Teacher
from kit.teacher.timm_teacher import Recipe, TimmTeacher

SMALL = (64, 128)  # pixels


@pytest.mark.parametrize("name", TEACHERS)
def test_every_teacher_of_the_table_has_a_maker_with_options_of_the_settings(name):
    options = inspect.signature(TEACHERS[name]).parameters
    settings = {field.name for field in fields(TeacherConfig)} - {"name"}
    keywords = {n for n, p in options.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
    assert {"weights", "image_size"} <= keywords <= settings
    assert issubclass(TEACHERS[name].func, Teacher)


def test_the_table_holds_all_recipes_and_all_clip_teachers():
    assert set(TEACHERS) == set(RECIPES) | set(PAIRS)


def test_every_recipe_names_weights_that_timm_publishes():
    published = set(timm.list_pretrained())
    for name, recipe in RECIPES.items():
        config = timm.models.get_pretrained_cfg(recipe.model)
        assert recipe.model in published or f"{recipe.model}.{config.tag}" in published, name
        assert recipe.antialias or "dinov2" in recipe.model or recipe.model.endswith(".dino")
        assert recipe.antialias == (recipe.offset == 0), name


@pytest.mark.parametrize(
    ("name", "size", "shape"),
    [
        ("resnet10t", (64, 128), (512, 2, 4)),
        ("convnext_atto", (64, 128), (320, 2, 4)),
        ("vit_tiny_patch16_224", (64, 128), (192, 4, 8)),
        ("dinov3_vits16", (64, 128), (384, 4, 8)),
        ("dino_vits16", (64, 128), (384, 4, 8)),
        ("dinov2_vits14_reg4", (56, 112), (384, 4, 8)),
    ],
)
def test_any_timm_network_is_a_teacher(name, size, shape):
    other = build_teacher(name, image_size=size, weights="random")
    assert other(torch.rand(1, 3, *size)).maps[0].shape == (1, *shape)
    assert other.dim == shape[0] and f"Teacher {name}" in repr(other)


def test_a_recipe_of_ones_own_is_taken():
    mine = Recipe("resnet10t", image_size=(64, 64), layers=(-1, -2))
    other = build_teacher(mine, weights="random")
    assert other.recipe.layers == (3, 4) and other.dim == 256 + 512


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"layer": 5}, "has 5 blocks or stages, 0 to 4, got \\(5,\\)"),
        ({"layer": -6}, "0 to 4"),
        ({"layer": ()}, "0 to 4"),
        ({"image_size": (440, 900)}, "multiples of 32 .* nearest is 448x896"),
        ({"image_size": (8, 8)}, "nearest is 32x32"),
        ({"norm": True}, "no final norm"),
        ({"image_size": SMALL, "scales": (0.25, 1.0)}, "multiples of 32 .* 16x32 at scale 0.25"),
        ({"scales": ()}, "must be different, above 0 and below 10, like \\(1, 2\\), got \\(\\)"),
        ({"scales": (1.0, 1.0)}, "must be different"),
        ({"scales": (-1.0,)}, "must be different"),
        ({"scales": (1.0, 10.0)}, "below 10"),
        (
            {
                "name": "vit_tiny_patch16_224",
                "weights": "random",
                "image_size": (224, 224),
                "scales": (1.0, 2.0),
            },
            "transformer for .* choose another",
        ),
    ],
)
def test_what_does_not_fit_the_network_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        build_teacher(**arguments)


def test_an_unknown_name_is_refused_with_similar_names():
    with pytest.raises(ValueError, match="'dinov2_vits41' .* Did you mean dinov2_vits14"):
        build_teacher("dinov2_vits41")


def test_an_option_that_a_teacher_lacks_is_named():
    with pytest.raises(ValueError, match="clip_vitb16 has no option layer, norm; leave it out"):
        build_teacher("clip_vitb16", layer=3, norm=True)


def test_settings_give_the_same_teacher_as_options_and_options_replace_them():
    options = {"layer": (3,), "image_size": SMALL, "scales": (1.0, 2.0), "weights": "random"}
    config = TeacherConfig("efficientnet_lite0", **options)
    teacher = build_teacher(config)
    assert teacher.fingerprint == build_teacher("efficientnet_lite0", **options).fingerprint
    assert build_teacher(config, layer=4, scales=(1.0,)).recipe.layers == (4,)
    plain = build_teacher(TeacherConfig(image_size=SMALL))
    assert plain.fingerprint == build_teacher(image_size=SMALL).fingerprint
    with pytest.raises(ValueError, match="clip_vitb16 has no option layer, scales"):
        build_teacher(replace(config, name="clip_vitb16"))


def test_clip_is_made_by_name_as_any_other_teacher():
    teacher = build_teacher("clip_vitb16", weights="random", image_size=(32, 64))
    assert isinstance(teacher, ClipTeacher) and (teacher.name, teacher.dim) == ("clip_vitb16", 512)
    assert isinstance(build_teacher(image_size=SMALL), TimmTeacher)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "dino_vits16", "clip_vitb16"])
def test_all_teachers_have_the_same_range_check(name):
    teacher = build_teacher(name, weights="random", image_size=(32, 64))
    images = torch.rand(1, 3, 32, 64)
    assert teacher(images).dim == teacher.dim
    for wrong in (images * 255, images - 0.5, images / 0):
        with pytest.raises(ValueError, match=r"must be in \[0, 1\], got"):
            teacher(wrong)


# --- precision ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "error"), [("bf16-mixed", 3e-2), ("16-mixed", 4e-3)])
def test_a_teacher_in_half_precision_stays_near_and_is_another_one(precision, error):
    options = {"image_size": (28, 56), "weights": "random"}
    exact = build_teacher("dinov2_vits14", **options)
    rounded = build_teacher(TeacherConfig("dinov2_vits14", precision=precision, **options))
    assert rounded.fingerprint != exact.fingerprint  # its maps have their own place in the cache
    images = torch.rand(2, 3, 28, 56)
    for call in (lambda teacher: teacher(images).maps[0], lambda t: t.class_tokens(images)):
        one, other = call(rounded), call(exact)
        assert one.dtype == torch.float32
        assert 0 < (one - other).norm() / other.norm() < error


def test_exact_is_the_default_and_changes_nothing(monkeypatch):
    teacher = build_teacher(image_size=SMALL)
    assert teacher.in_precision("32-true") is teacher
    again = teacher.in_precision("tf32").in_precision("32-true")
    assert again.fingerprint == teacher.fingerprint
    monkeypatch.setattr(type(teacher), "maps", lambda *_: [1 / 0])
    with pytest.raises(ZeroDivisionError):
        teacher(torch.rand(1, 3, *SMALL))


def test_tf32_is_for_the_teacher_only(monkeypatch):
    teacher, found = build_teacher(image_size=SMALL, precision="tf32"), []
    before = torch.get_float32_matmul_precision()

    def maps(*_):
        found.append(torch.get_float32_matmul_precision())
        raise MemoryError("out of memory")

    monkeypatch.setattr(type(teacher), "maps", maps)
    with pytest.raises(MemoryError):
        teacher(torch.rand(1, 3, *SMALL))
    assert found == ["high"] and torch.get_float32_matmul_precision() == before


def test_several_teachers_are_computed_in_one_precision():
    options = {"image_size": (32, 64), "weights": "random"}
    exact = build_teacher("resnet10t+efficientnet_lite0", **options)
    joint = build_teacher("resnet10t+efficientnet_lite0", precision="bf16-mixed", **options)
    images = torch.rand(1, 3, 32, 64)
    errors = [
        (one - other).norm() / other.norm()
        for one, other in zip(joint(images).maps, exact(images).maps, strict=True)
    ]
    assert all(0 < error < 0.1 for error in errors)
    assert joint.fingerprint != exact.fingerprint


# --- a new teacher ------------------------------------------------------------------------------


def test_a_new_teacher_is_built_by_name_and_extracted(monkeypatch):
    monkeypatch.setitem(TEACHERS, "colour", ColourTeacher)  # the one line
    street = kit.open_dataset("street", num_scenes=1, keyframes_per_scene=1, image_size=SMALL)
    teacher = build_teacher(TeacherConfig("colour", image_size=SMALL))
    features = kit.extract(teacher, street[0])
    assert features.space == kit.space_of(teacher) and features.feat.shape[1] == teacher.dim == 8
    assert torch.equal(features.index, kit.seen_points(street[0]))
    with pytest.raises(ValueError, match="the teacher colour has no option layer, weights"):
        build_teacher("colour", layer=1, weights="random")
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        teacher(255 * torch.rand(1, 3, *SMALL))


def test_a_teacher_without_its_own_methods_cannot_be_made():
    class Unfinished(Teacher):
        def choices(self) -> str:
            return ""

    with pytest.raises(TypeError, match="abstract method '?maps"):
        Unfinished("unfinished", torch.nn.Identity(), 3, SMALL, (0.5,) * 3, (0.5,) * 3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image_size": (0, 448)}, "image_size must be a whole number from 1 to 16,384, got 0"),
        ({"image_size": (224, 10**9)}, "image_size must be .* got 1000000000"),
        ({"scales": (1.0, float("nan"))}, "scales must be a number, above 0 and below 10, got nan"),
        ({"scales": (-1.0,)}, "scales must be .* got -1.0"),
        ({"precision": "half"}, "precision must be one of .*tf32.*, got 'half'"),
        ({"layer": (10**9,)}, "layer must be a whole number from -1,000 to 1,000, got"),
    ],
)
def test_settings_out_of_range_name_field_value_and_range(wrong, words):
    with pytest.raises(ValueError, match=words):
        TeacherConfig(**wrong)


@pytest.mark.parametrize("size", [(0, 0), (-64, 64), (2**20 * 32, 32)])
@pytest.mark.parametrize("name", ["resnet10t", "vit_tiny_patch16_224", "clip_vitb16"])
def test_image_sizes_out_of_range_are_refused(name, size):
    with pytest.raises(ValueError, match=r"image_size must be|cannot take images"):
        build_teacher(name, image_size=size, weights="random")
