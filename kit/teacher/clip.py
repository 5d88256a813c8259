"""CLIP as a teacher: features of image patches in the feature space of CLIP's text encoder.

    teacher = kit.build_teacher("clip_vitb16")
    query = kit.Query.from_text(teacher, "a cyclist")

A file of open_clip holds the image encoder and the text encoder. The image encoder is put into
timm's network, the text encoder into open_clip's.
"""

import hashlib
from functools import cached_property
from pathlib import Path

import timm.data
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kit.store.state_dict import misfits, some
from kit.teacher.network import build_network
from kit.teacher.teacher import Teacher, check_image_size
from kit.teacher.weights import hub_file, read_weights

# By name: timm's network, open_clip's model, the repository of open_clip's file. Network and model
# must have the same activation, or features are slightly wrong without an error.
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
PATCH = 16  # pixels
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
WAYS = (
    "Weights of CLIP come from a machine that reaches huggingface.co, from a filled cache "
    "(HF_HOME=<folder> HF_HUB_OFFLINE=1), or from a file of open_clip "
    "(weights=<open_clip_model.safetensors>)"
)


class ClipTeacher(Teacher):
    """A dense CLIP: features of patches in the feature space of CLIP's texts, without training.

    In the last block every patch attends to itself only: attention is replaced by its value path,
    and the rest of the block stays. CLIP's final norm and projection follow.

    Args:
        name: a name from `PAIRS`.
        image_size: (height, width) in pixels, multiples of 16.
        weights: open_clip's file with both encoders; "random" for tests; None: the published
            weights, from the Hugging Face cache or the hub.

    Raises:
        ValueError: an unknown name, a size that is not a multiple of 16, or a file with other
            weights.
        FileNotFoundError: the weights cannot be reached; names the ways to them.

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
        if name not in PAIRS:
            raise ValueError(f"no CLIP teacher {name!r}; there are {', '.join(PAIRS)}")
        model, text_model, repository = PAIRS[name]
        check_image_size(image_size, PATCH, model)
        if weights is None:
            try:
                weights = hub_file(name, repository, FILES)
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{error}. {WAYS}") from error
        dim = timm.get_pretrained_cfg_value(model, "num_classes")
        network = build_network(model, image_size, weights, num_classes=dim)
        config = timm.data.resolve_model_data_config(network)
        super().__init__(name, network, dim, image_size, config["mean"], config["std"])
        self.model, self.text_model, self.weights = model, text_model, weights

    @cached_property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"value path {super().fingerprint}".encode()).hexdigest()[:32]

    def choices(self) -> str:
        # Layer and norm as in older versions, so that fingerprints stay the same.
        return repr((self.model, self.image_size, (-1,), False))

    def maps(self, normalised: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        network = self.network
        tokens = network.norm_pre(network._pos_embed(network.patch_embed(normalised)))
        for block in network.blocks[:-1]:  # tokens (B, 1 + L, W)
            tokens = block(tokens)
        tokens = value_path(network.blocks[-1], tokens)
        feat = network.head(network.norm(tokens))[:, network.num_prefix_tokens :]  # (B, L, D)
        return [feat.mT.unflatten(2, network.patch_embed.grid_size)]

    @property
    def has_class_token(self) -> bool:
        return True

    def tokens(self, normalised: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """CLIP's own embedding of each image, with the attention of all blocks."""
        return self.network(normalised)

    @cached_property
    def text(self) -> nn.Module:
        """open_clip's model, with the weights of the same file.

        Raises:
            ValueError: the file does not hold the text encoder.
        """
        import open_clip

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = open_clip.create_model(self.text_model)
        if self.weights != "random":
            _load_text(model, self.weights)
        return model.requires_grad_(False).eval()

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> Float[Tensor, "T D"]:
        """Embeddings of texts at unit length, in the feature space of the patches."""
        import open_clip

        tokens = open_clip.get_tokenizer(self.text_model)(texts)
        return F.normalize(self.text.encode_text(tokens), dim=1)


def _load_text(model: nn.Module, weights: str | Path) -> None:
    state, expected = read_weights(weights), model.state_dict()
    faults = list(misfits(state, expected))
    faults += [f"{name} is missing" for name in expected if name not in state]
    if faults:
        raise ValueError(
            f"{weights}: does not fit open_clip's model: {len(faults)} tensors differ "
            f"({some(faults, 3)}). Texts need open_clip's file, which holds both encoders"
        )
    model.load_state_dict(state, strict=False)


def value_path(block: nn.Module, tokens: Float[Tensor, "B L W"]) -> Float[Tensor, "B L W"]:
    """A transformer block of timm in which every token attends to itself only."""
    attention, width = block.attn, tokens.shape[2]
    normed = block.norm1(tokens)
    bias = None if attention.qkv.bias is None else attention.qkv.bias[2 * width :]
    value = F.linear(normed, attention.qkv.weight[2 * width :], bias)
    tokens = tokens + block.ls1(attention.proj(value))
    return tokens + block.ls2(block.mlp(block.norm2(tokens)))
