"""Findings of the supply watch, for tests of its alarms."""

from serving.watch.alarms.judging import Finding


def swing(supplier="S1", opens=True, clears="", capacity=10, median=100, warehouse=None, sku=None):
    """Of a whole supplier, or of one warehouse or sku."""
    evidence = {
        "warehouse_id": warehouse,
        "sku_id": sku,
        "capacity": capacity,
        "median": median,
        "swing": capacity / median - 1 if median else None,
    }
    object_id = f"{supplier}/{warehouse or ''}/{sku or ''}".rstrip("/")
    return Finding("capacity", object_id, opens, clears, evidence, supplier)


def delay(shipment="p1", opens=True, clears="", hours=40.0, order="o1", supplier="S1", merchant="m1"):
    evidence = {"hours_late": hours, "probability": 0.9}
    return Finding("delay", shipment, opens, clears, evidence, supplier, order, merchant)
