"""Bundles on disk: NumPy arrays and one JSON document, no pickle.

The JSON document is written last: a folder without it is an unfinished one and is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from models.errors import BundleError
from models.recommendation.config import AlsParams, BesideWeights, RankerParams, TifuParams
from models.recommendation.rankers.discovery import ItemFactors

FORMAT = 1
RANKER, TIFU = "repeat_ranker", "tifu_knn"


@dataclass(frozen=True)
class RepeatBundle:
    """A fitted repeat lane.

    Attributes:
        kind: `repeat_ranker` or `tifu_knn`.
        spacing: The blend's spacing; 0 where no slot is a discovery.
        ranker: Settings of the ranker, with
        booster: its LightGBM text form; None for TIFU-KNN.
        tifu: Settings of TIFU-KNN, with
        consumers: consumer ids of the neighbour pool,
        skus: sku ids of its columns,
        pool: and its vectors, float32 CSR; None for the ranker.
    """

    kind: str
    spacing: int
    ranker: RankerParams | None = None
    booster: str | None = None
    tifu: TifuParams | None = None
    consumers: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()
    pool: sp.csr_matrix | None = None


@dataclass(frozen=True)
class DiscoveryBundle:
    """A fitted discovery lane.

    Attributes:
        spacing: The blend's spacing; 0 where no slot is a discovery.
        skus: Sku ids of the rows of the factors.
        items: Factors and settings.
    """

    spacing: int
    skus: tuple[str, ...]
    items: ItemFactors


def save_repeat(folder: Path, bundle: RepeatBundle) -> None:
    """Write a repeat bundle into `folder`, made where needed."""
    arrays: dict[str, Any] = {}
    if bundle.pool is not None:
        arrays = {
            "data": bundle.pool.data,
            "indices": bundle.pool.indices,
            "indptr": bundle.pool.indptr,
            "consumers": np.array(bundle.consumers, dtype=np.str_),
            "skus": np.array(bundle.skus, dtype=np.str_),
        }
    document = {
        "lane": "repeat",
        "kind": bundle.kind,
        "spacing": bundle.spacing,
        "ranker": asdict(bundle.ranker) if bundle.ranker else None,
        "booster": bundle.booster,
        "tifu": asdict(bundle.tifu) if bundle.tifu else None,
    }
    _write(folder, document, arrays)


def save_discovery(folder: Path, bundle: DiscoveryBundle) -> None:
    """Write a discovery bundle into `folder`, made where needed."""
    document = {
        "lane": "discovery",
        "spacing": bundle.spacing,
        "als": asdict(bundle.items.params),
        "trend_power": bundle.items.trend_power,
        "beside": asdict(bundle.items.weights),
    }
    arrays: dict[str, Any] = {"factors": bundle.items.factors, "skus": np.array(bundle.skus, dtype=np.str_)}
    links = bundle.items.links
    if links is not None:
        arrays |= {"data": links.data, "indices": links.indices, "indptr": links.indptr}
    _write(folder, document, arrays)


def load_repeat(folder: Path) -> RepeatBundle:
    """Read a repeat bundle.

    Raises:
        BundleError: The folder is missing, unfinished, of another lane or format, or damaged.
    """
    document, arrays = _read(folder, "repeat")
    try:
        if document["kind"] == RANKER:
            return RepeatBundle(
                RANKER,
                document["spacing"],
                ranker=RankerParams(**document["ranker"]),
                booster=document["booster"],
            )
        consumers, skus = arrays["consumers"].tolist(), arrays["skus"].tolist()
        pool = sp.csr_matrix(
            (arrays["data"], arrays["indices"], arrays["indptr"]), shape=(len(consumers), len(skus))
        )
        tifu = TifuParams(**document["tifu"])
        return RepeatBundle(
            TIFU, document["spacing"], tifu=tifu, consumers=tuple(consumers), skus=tuple(skus), pool=pool
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"repeat bundle {folder} is damaged ({error}); train again") from error


def load_discovery(folder: Path) -> DiscoveryBundle:
    """Read a discovery bundle.

    Raises:
        BundleError: The folder is missing, unfinished, of another lane or format, or damaged.
    """
    document, arrays = _read(folder, "discovery")
    try:
        links = None
        if "indptr" in arrays:
            size = len(arrays["skus"])
            links = sp.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(size, size))
        items = ItemFactors(
            arrays["factors"],
            AlsParams(**document["als"]),
            document["trend_power"],
            links,
            BesideWeights.read(document.get("beside", ())),
        )
        return DiscoveryBundle(document["spacing"], tuple(arrays["skus"].tolist()), items)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"discovery bundle {folder} is damaged ({error}); train again") from error


def _write(folder: Path, document: dict[str, Any], arrays: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").unlink(missing_ok=True)
    np.savez_compressed(folder / "arrays.npz", **arrays)
    text = json.dumps({"format": FORMAT, **document}, indent=1, sort_keys=True)
    (folder / "bundle.json").write_text(text, encoding="utf-8")


def _read(folder: Path, lane: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        document = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
        with np.load(folder / "arrays.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise BundleError(f"bundle {folder} is missing or unfinished ({error}); train again") from error
    if document.get("format") != FORMAT or document.get("lane") != lane:
        raise BundleError(
            f"bundle {folder} is lane {document.get('lane')} format {document.get('format')}, "
            f"wanted lane {lane} format {FORMAT}; train again"
        )
    return document, arrays
