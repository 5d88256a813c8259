"""Text as a query: CLIP's text encoder, and a teacher whose patches live in the same space.

    teacher = kit.text.ClipTeacher()         # then distil a student from it, as from any other
    query = kit.Query.from_text(teacher, "a cyclist")

One file of open_clip holds both halves of CLIP: the image half is put into timm's network, the text
half into open_clip's. Nothing but a published file gives the words a meaning; without one the error
names the ways to it.
"""

import hashlib
from functools import cached_property
from pathlib import Path

import timm.data
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kit.backbone import build_network, hub_file, read_weights
from kit.grids import FeatureGrids, by
from kit.teacher import Recipe, Teacher

# By name: timm's network, open_clip's model, the repository of open_clip's file. Pairs must match
# in their activation, or the features are slightly wrong without any error.
PAIRS = {
    "clip_vitb16": (
        "vit_base_patch16_clip_quickgelu_224.openai",
        "ViT-B-16-quickgelu",
        "timm/vit_base_patch16_clip_224.openai",
    ),
    "clip_vitb16_laion2b": (
        "vit_base_patch16_clip_224.laion2b",
        "ViT-B-16",
        "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
    ),
}
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
WAYS = (
    "The ways to CLIP's weights: a machine that reaches huggingface.co; a filled cache "
    "(HF_HOME=<folder> HF_HUB_OFFLINE=1); a file, ClipTeacher(weights=<open_clip's "
    "open_clip_model.safetensors>)"
)
PROMPTS = (
    "{}",
    "a photo of {}",
    "a photo of {} on a street",
    "a blurry photo of {}",
    "a small photo of {} in the distance",
    "a part of {}",
)
# What is everywhere and nobody asks for: a text must fit better than these.
ANYTHING = ("something", "a photo of a street", "the background", "the sky", "a texture")


class ClipTeacher(Teacher):
    """A dense CLIP: patches in the space of CLIP's texts, without any further training.

    In the last block every patch attends to itself alone: attention is replaced by its value path,
    all else of the block stays. Then come CLIP's own last norm and projection.

    Args:
        name: a name of `PAIRS`.
        image_size: (height, width) in pixels, multiples of 16.
        weights: open_clip's file with both halves; "random" for tests; None: hub or cache.

    Raises:
        ValueError: no such pair, or a file with other weights.
        FileNotFoundError: the weights cannot be reached; names the ways.

    Source: MaskCLIP (arXiv:2112.01071) and its published code, which keeps the residual and the MLP
        around the value path. Differs: timm's position embedding, resized with antialiasing.
    """

    def __init__(
        self,
        name: str = "clip_vitb16",
        *,
        image_size: tuple[int, int] = (224, 448),
        weights: str | Path | None = None,
    ):
        nn.Module.__init__(self)
        if name not in PAIRS:
            raise ValueError(f"no pair {name!r} of CLIP halves; there are {', '.join(PAIRS)}")
        model, self.text_model, repository = PAIRS[name]
        if weights is None:
            try:
                weights = hub_file(name, repository, FILES)
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{error}. {WAYS}") from error
        self.name, self.weights = name, weights
        self.recipe = Recipe(model, image_size)
        self.dim = timm.get_pretrained_cfg_value(model, "num_classes")
        self.network = build_network(model, image_size, weights, num_classes=self.dim)
        self.network.requires_grad_(False)
        config = timm.data.resolve_model_data_config(self.network)
        self.register_buffer("mean", torch.tensor(config["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config["std"]).view(3, 1, 1), persistent=False)
        self.eval()

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"value path {super().fingerprint}".encode()).hexdigest()[:32]

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B 3 H W"]) -> FeatureGrids:
        """Compute the grids of a batch of images in [0, 1]."""
        if tuple(images.shape[-2:]) != self.image_size:
            raise ValueError(
                f"images are {by(images.shape[-2:])}, the teacher {self.name} takes "
                f"{by(self.image_size)} (height x width)"
            )
        network = self.network
        tokens = network.patch_embed((images.to(self.device) - self.mean) / self.std)
        tokens = network.norm_pre(network._pos_embed(tokens))  # (B, 1 + L, W)
        for block in network.blocks[:-1]:
            tokens = block(tokens)
        tokens = value_path(network.blocks[-1], tokens)
        feat = network.head(network.norm(tokens))[:, network.num_prefix_tokens :]  # (B, L, D)
        grid = feat.mT.unflatten(2, network.patch_embed.grid_size)
        return FeatureGrids((grid.float(),), self.image_size)

    @cached_property
    def text(self) -> nn.Module:
        """open_clip's model, from the same file."""
        import open_clip

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = open_clip.create_model(self.text_model)
        if self.weights != "random":
            model.load_state_dict(read_weights(self.weights))
        return model.requires_grad_(False).eval()

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> Float[Tensor, "T D"]:
        """Unit embeddings of texts, in the space of the patches."""
        import open_clip

        tokens = open_clip.get_tokenizer(self.text_model)(texts)
        return F.normalize(self.text.encode_text(tokens), dim=1)


def value_path(block: nn.Module, tokens: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
    """A transformer block of timm in which every token attends to itself alone."""
    attention, width = block.attn, tokens.shape[2]
    inside = block.norm1(tokens)
    bias = None if attention.qkv.bias is None else attention.qkv.bias[2 * width :]
    value = F.linear(inside, attention.qkv.weight[2 * width :], bias)
    tokens = tokens + block.ls1(attention.proj(value))
    return tokens + block.ls2(block.mlp(block.norm2(tokens)))


def text_direction(teacher: ClipTeacher, text: str) -> tuple[Float[Tensor, " D"], float]:
    """Weight and bias of a text: its mean embedding over `PROMPTS`, less that of `ANYTHING`.

    The score is above 0 where a patch is nearer to the text than to anything.

    Source: prompt ensembles, CLIP (arXiv:2103.00020). Differs: six prompts of our own; the
        comparison with generic texts is ours.
    """
    wanted = teacher.encode_text([prompt.format(text.strip()) for prompt in PROMPTS])
    anything = teacher.encode_text(list(ANYTHING))
    direction = F.normalize(wanted.mean(0), dim=0) - F.normalize(anything.mean(0), dim=0)
    return direction, 0.0
