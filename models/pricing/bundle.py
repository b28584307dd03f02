"""The folder that holds fitted elasticities: written by `training`, read by `scoring`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from models.errors import BundleError
from models.pricing.config import PricingConfig
from models.pricing.elasticities.changes import Changes, FloatArray
from models.pricing.elasticities.elasticity import ElasticityModel, Posterior

FORMAT = 1
OVERALL = "all"
SKUS_FILE = "skus.parquet"
CATEGORIES_FILE = "categories.parquet"
META_FILE = "meta.json"


@dataclass(frozen=True)
class PricingBundle:
    """Fitted elasticities as tables.

    Attributes:
        skus: sku_id, category_l3_id, category_l2_id, elasticity, deviation; sorted by sku_id.
        categories: level (`l3`, `l2`, `all`), category_id, elasticity, deviation; the deviation is that of a
            sku never seen before in the category.
        max_elasticity: The sign constraint.
    """

    skus: pl.DataFrame
    categories: pl.DataFrame
    max_elasticity: float

    def level(self, name: str) -> pl.DataFrame:
        """The rows of one level: category_id, elasticity, deviation."""
        return self.categories.filter(pl.col("level") == name).drop("level")


def to_bundle(model: ElasticityModel, changes: Changes) -> PricingBundle:
    """Put a fitted model into tables.

    Args:
        model: The fitted tree.
        changes: The changes it was fitted on, for the ids.

    Returns:
        The bundle; elasticities are `ElasticityModel.usual`.
    """
    l3 = np.array(changes.l3_ids, dtype=object)[changes.l3_of_sku]
    l2 = np.array(changes.l2_ids, dtype=object)[changes.l2_of_l3[changes.l3_of_sku]]
    skus = pl.DataFrame(
        {
            "sku_id": changes.sku_ids,
            "category_l3_id": l3.tolist(),
            "category_l2_id": l2.tolist(),
            "elasticity": model.usual(model.sku),
            "deviation": np.sqrt(model.sku.variance),
        }
    )
    below = {"l3": model.sku.spread**2}
    below["l2"] = below["l3"] + model.l3.spread**2
    below[OVERALL] = below["l2"] + model.l2.spread**2

    def rows(level: str, ids: list[str], posterior: Posterior) -> pl.DataFrame:
        deviation: FloatArray = np.sqrt(posterior.variance + below[level])
        return pl.DataFrame(
            {
                "level": [level] * len(ids),
                "category_id": ids,
                "elasticity": model.usual(posterior),
                "deviation": deviation,
            }
        )

    categories = pl.concat(
        [
            rows("l3", changes.l3_ids, model.l3),
            rows("l2", changes.l2_ids, model.l2),
            rows(OVERALL, [OVERALL], model.overall),
        ]
    )
    return PricingBundle(skus, categories, model.max_elasticity)


def save_bundle(bundle: PricingBundle, folder: Path, as_of: datetime, config: PricingConfig) -> None:
    """Write the bundle; the meta file comes last, so a folder cut short is never loaded.

    Args:
        bundle: What to write.
        folder: Made when missing; an older bundle in it is replaced.
        as_of: Business moment of the training.
        config: Settings of the training, kept for the record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / META_FILE).unlink(missing_ok=True)
    bundle.skus.write_parquet(folder / SKUS_FILE)
    bundle.categories.write_parquet(folder / CATEGORIES_FILE)
    meta = {
        "format": FORMAT,
        "as_of": as_of.isoformat(),
        "max_elasticity": bundle.max_elasticity,
        "config": config.as_dict(),
    }
    (folder / META_FILE).write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_bundle(folder: Path) -> PricingBundle:
    """Read a bundle.

    Raises:
        BundleError: The folder is missing, incomplete, unreadable or of another format.
    """
    try:
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        if meta.get("format") != FORMAT:
            raise BundleError(
                f"pricing bundle {folder}: format {meta.get('format')}, expected {FORMAT}; train again"
            )
        skus = pl.read_parquet(folder / SKUS_FILE)
        categories = pl.read_parquet(folder / CATEGORIES_FILE)
        return PricingBundle(skus, categories, float(meta["max_elasticity"]))
    except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
        raise BundleError(f"pricing bundle {folder} cannot be read ({error}); train again") from error
