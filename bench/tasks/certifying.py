"""Ask a defense's certificate about one block of images; labels are not here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from bench.attack import UNCERTIFIED, Certify, Threat
from bench.errors import ContractViolation, Unavailable
from bench.plugins.loading import loaded
from bench.store import Store
from bench.tasks.building import deployment_of, images_of
from bench.tasks.outcome import Outcome


def certify(spec: Mapping[str, Any], store: Store) -> Outcome:
    """Return the certified label of each image, int16, (B,), -1 where none is.

    Meta
    ----
    silent : why the certificate says nothing here, "" where it does

    Raises
    ------
    ContractViolation : something else than a label an image
    """
    certificate: Certify = loaded(spec["certificate"])
    first, last = spec["block"]
    x, _ = images_of(store, spec["images"], first, last)
    classes = spec["deployment"]["network"]["classes"]
    try:
        found = certificate(deployment_of(store, spec["deployment"]), x, Threat(**spec["threat"]))
    except Unavailable as error:
        return Outcome(tensors={"certified": np.full(len(x), UNCERTIFIED, dtype=np.int16)}, meta={"silent": str(error)})
    if not isinstance(found, torch.Tensor) or found.shape != (len(x),) or found.is_floating_point():
        given = getattr(found, "shape", type(found))
        raise ContractViolation(f"The certificate gave {given}; expected a label for each of {len(x)} images.")
    if bool(((found < UNCERTIFIED) | (found >= classes)).any()):
        raise ContractViolation(f"The certificate gave labels outside -1 .. {classes - 1}.")
    return Outcome(tensors={"certified": found.numpy().astype(np.int16)}, meta={"silent": ""})
