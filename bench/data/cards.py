"""Cards of weights: how a file of weights was made and what it reaches; read without torch.

A classifier has a ``Card``, what a defense learned has a ``FitCard``.

A card is JSON beside its safetensors file and has the same name: ``NAME.safetensors``, ``NAME.json``.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

from bench.errors import UsageError
from bench.plugins.entries import Dataset, Defense, Model
from bench.plugins.parameters import Value

FORMAT: Final = 1
HALF_TOLERANCE: Final = 0.0005  # share of the test images by which storing in half precision may move the accuracy
_AnyCard = TypeVar("_AnyCard", "Card", "FitCard")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a file of weights.

    Attributes
    ----------
    model, parameters : the architecture's entry and its parameters
    dataset : name of the data set's entry
    images : fingerprint of the training images where the data set's parameters choose them, else ""
    split_seed, held_out_share : they name the pools; it was trained on the train pool
    training_seed : of initialisation, order of images and augmentation
    recipe : all fields of ``bench.training.Recipe``
    clean_accuracy : share of the official test set, in [0, 1], that the stored weights classify correctly
    test_images : how many images that is
    training_seconds : wall time
    threads : that it was trained with
    command : that makes it again
    dtype : of the stored tensors, "float16" or "float32"
    sha256 : of the weights file, hex
    versions : of the libraries it was trained with
    weights_path : the file; not written on the card, which stands beside it
    """

    model: str
    parameters: Mapping[str, Value]
    dataset: str
    images: str = ""
    split_seed: int
    held_out_share: float
    training_seed: int
    recipe: Mapping[str, Value]
    clean_accuracy: float
    test_images: int
    training_seconds: float
    threads: int
    command: str
    dtype: str
    sha256: str
    versions: Mapping[str, str]
    weights_path: Path

    def fits(
        self,
        model: str,
        parameters: Mapping[str, Value],
        dataset: str,
        split_seed: int,
        training_seed: int,
        *,
        images: str = "",
    ) -> bool:
        """Return whether these weights are what a run would train."""
        mine = (self.model, dict(self.parameters), self.dataset, self.images, self.split_seed, self.training_seed)
        return mine == (model, dict(parameters), dataset, images, split_seed, training_seed)


@dataclass(frozen=True, kw_only=True)
class FitCard:
    """What is known of a file of what a defense learned.

    Attributes
    ----------
    defense, parameters : the defense's entry and those of its parameters that its fit depends on
    dataset, images : as on the classifier's card
    classifier : sha256 of the undefended classifier's weights, hex
    model : label of the undefended classifier
    split_seed, held_out_share : they name the pools that it learned from
    training_seed : of initialisation, order and noise
    notes : figures of the fit, such as learned thresholds
    clean_accuracy : share of the official test set, in [0, 1], that the deployment answers rightly; its parameters that
        the fit does not depend on have their defaults
    test_images : how many images that is
    fit_seconds : wall time
    device : that it was made on
    command : that makes it again
    sha256 : of the file, hex
    versions : of the libraries it was made with
    weights_path : the file; not written on the card, which stands beside it
    """

    defense: str
    parameters: Mapping[str, Value]
    dataset: str
    images: str = ""
    classifier: str
    model: str
    split_seed: int
    held_out_share: float
    training_seed: int
    notes: Mapping[str, Any]
    clean_accuracy: float
    test_images: int
    fit_seconds: float
    device: str
    command: str
    sha256: str
    versions: Mapping[str, str]
    weights_path: Path

    def fits(
        self,
        defense: str,
        parameters: Mapping[str, Value],
        dataset: str,
        classifier: str,
        split_seed: int,
        training_seed: int,
        *,
        images: str = "",
    ) -> bool:
        """Return whether this is what a run would learn."""
        mine = (self.defense, dict(self.parameters), self.dataset, self.images, self.classifier)
        asked = (defense, dict(parameters), dataset, images, classifier)
        return (*mine, self.split_seed, self.training_seed) == (*asked, split_seed, training_seed)


def find_fit(
    defense: Defense,
    parameters: Mapping[str, Value],
    dataset: str,
    classifier: str,
    split_seed: int,
    training_seed: int,
    *,
    images: str = "",
) -> FitCard | None:
    """Return the card of a shipped fit that a run would otherwise make, None where there is none.

    Parameters
    ----------
    defense : its ``weights`` name the folder, as "package:folder"
    parameters : those that the fit depends on
    dataset : name of the data set's entry
    classifier : sha256 of the undefended classifier's weights
    images : what ``images_named`` gives
    """
    folder = weights_folder(defense)
    for path in sorted(folder.glob("*.json")) if folder else ():
        card = read_fit_card(path)
        if card.fits(defense.name, parameters, dataset, classifier, split_seed, training_seed, images=images):
            return card
    return None


def find_card(
    model: Model,
    parameters: Mapping[str, Value],
    dataset: str,
    split_seed: int,
    training_seed: int,
    *,
    images: str = "",
) -> Card | None:
    """Return the card of shipped weights that a run would otherwise train, None where there are none.

    Parameters
    ----------
    model : its ``weights`` name the folder, as "package:folder"
    dataset : name of the data set's entry
    images : what ``images_named`` gives
    """
    for card in shipped_cards(model):
        if card.fits(model.name, parameters, dataset, split_seed, training_seed, images=images):
            return card
    return None


def images_named(dataset: Dataset, train_fingerprint: str) -> str:
    """Return what a card says of the training images: nothing where the data set's name says it all.

    Of one with parameters, such as a folder of one's own, the name is that of other images too.
    """
    return train_fingerprint if dataset.parameters else ""


def shipped_cards(model: Model) -> Iterator[Card]:
    """Yield the cards in the folder that the entry names, in the order of their names."""
    folder = weights_folder(model)
    for path in sorted(folder.glob("*.json")) if folder else ():
        yield read_card(path)


def weights_folder(entry: Model | Defense) -> Path | None:
    """Return the folder that the entry names as "package:folder", None where it names none or it is not there."""
    package, _, folder = entry.weights.partition(":")
    spec = find_spec(package) if package else None
    for location in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(location) / folder).is_dir():
            return path
    return None


def card_path(weights: Path) -> Path:
    """Return where the card of a file of weights stands."""
    return weights.with_suffix(".json")


def card_beside(weights: Path, *, split_seed: int) -> Card | None:
    """Return the card beside a user's weights, None where there is none.

    Raises
    ------
    UsageError : they were trained on the pools of another split seed, so they may have seen what this run holds out
    """
    path = card_path(weights)
    if not path.is_file():
        return None
    card = read_card(path)
    if card.split_seed != split_seed:
        raise UsageError(
            f"Weights {weights} were trained with split seed {card.split_seed}; this run has {split_seed}, whose "
            f"development and calibration images they may have seen. Use split seed {card.split_seed}, or train anew."
        )
    return card


def read_card(path: Path) -> Card:
    """Return the card of a classifier in a file.

    Raises
    ------
    UsageError : it cannot be read, or is no card
    """
    return _read(path, Card)


def read_fit_card(path: Path) -> FitCard:
    """Return the card of a defense's fit in a file; raises as ``read_card`` does."""
    return _read(path, FitCard)


def _read(path: Path, kind: type[_AnyCard]) -> _AnyCard:
    try:
        content = json.loads(path.read_text("utf-8"))
        given = content.pop("card")
        if given != FORMAT:
            raise UsageError(f"Card {path} has format {given!r}; expected {FORMAT}. Update the suite.")
        card = kind(**content, weights_path=path.with_suffix(".safetensors"))
        if type(card.split_seed) is not int or not isinstance(card.parameters, dict) or type(card.sha256) is not str:
            raise TypeError("a field has the wrong type")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"{path} cannot be read as a card of weights: {error}. Make it again or remove it.") from error
    return card


def write_card(card: Card | FitCard) -> Path:
    """Write the card beside its weights and return its path."""
    content: dict[str, Any] = {"card": FORMAT} | {
        field.name: getattr(card, field.name) for field in dataclasses.fields(card) if field.name != "weights_path"
    }
    path = card_path(card.weights_path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    temporary.replace(path)
    return path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hex.

    Raises
    ------
    UsageError : it cannot be read
    """
    digest = sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UsageError(f"Weights {path} cannot be read: {error.strerror}. Check the path.") from error
    return digest.hexdigest()
