"""A review as one printable page in English or Chinese; it loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, StrictUndefined, Template

from serving.reviews.figures import rates
from serving.reviews.reading import Review
from serving.settlement.reports.statement_page import yuan

Language = Literal["en", "zh"]
_NONE = "–"

# Name, English, Chinese.
_WORDS = (
    ("title", "Review of", "月度复盘"),
    ("agent", "agent", "代理"),
    ("merchant", "merchant", "商户"),
    ("under_3_months", "joined under 3 months before", "入驻不足3个月"),
    ("under_1_year", "joined under a year before", "入驻不足1年"),
    ("from_1_year", "joined a year before or more", "入驻1年以上"),
    ("unknown", "joined at an unknown time", "入驻时间未知"),
    ("not_over", "The month is not over; the figures grow until it is.", "本月尚未结束，数字仍会变化。"),
    ("net_sales", "Net sales, yuan", "净销售额（元）"),
    ("settled", "Settled, yuan", "已结算（元）"),
    ("margin", "Margin, yuan", "毛利（元）"),
    ("orders", "Orders", "订单数"),
    ("funnel", "From customers to buyers", "客户转化"),
    ("customers", "Customers of twelve months", "近12个月客户"),
    ("visitors", "of them visited", "其中到访"),
    ("carts", "of them put in a cart", "其中加购"),
    ("buyers", "Buyers of the month", "本月买家"),
    ("new_buyers", "of them new", "其中新客"),
    ("beside", "Beside peers", "与同类对比"),
    ("own", "Own", "本方"),
    ("median", "Peers, median", "同类中位数"),
    ("leaders", "Best quarter, mean", "前四分之一均值"),
    ("ranked_cents", "Sales, yuan", "销售额（元）"),
    ("margin_rate", "Margin of sales", "毛利率"),
    ("repeat_rate", "Buyers who came again", "复购率"),
    ("refund_rate", "Given back", "退款率"),
    ("orders_per_buyer", "Orders a buyer", "人均订单"),
    ("visit_rate", "Customers who visited", "客户到访率"),
    ("best", "Brought most", "贡献最高的商品"),
    ("worst", "Brought least", "贡献最低的商品"),
    ("sku", "Sku", "商品"),
    ("units", "Units", "数量"),
    ("back", "Given back", "退款（元）"),
    ("none", "None.", "无。"),
    ("level", "level", "等级"),
    ("region_code", "region", "地区"),
    ("tenure", "time since joining", "入驻时长"),
    ("foot", "Months are UTC. Publication", "月份按UTC计。发布版本"),
)


def review_page(review: Review, language: Language) -> str:
    """The page, in UTF-8."""
    words = _words(language)
    own = {"ranked_cents": float(review.ranked_cents), **rates(review)}
    widest = max(review.customer_count, review.buyer_count, 1)
    funnel = (
        ("customers", review.customer_count),
        ("visitors", review.visitor_count),
        ("carts", review.cart_count),
        ("buyers", review.buyer_count),
        ("new_buyers", review.new_buyer_count),
    )
    return _template().render(
        language="zh-CN" if language == "zh" else "en",
        w=words,
        month=f"{review.month_start_on:%Y-%m}",
        party_type=review.party_type,
        party_id=review.party_id,
        level=review.level,
        region=review.region_code,
        tenure=review.tenure,
        is_whole=review.is_whole,
        totals=(
            ("net_sales", yuan(review.net_sales_cents)),
            ("settled", yuan(review.settled_cents)),
            ("margin", _NONE if review.margin_cents is None else yuan(review.margin_cents)),
            ("orders", f"{review.order_count:,}"),
        ),
        place=place_in_words(review, language),
        funnel=[(name, f"{count:,}", 100 * count // widest) for name, count in funnel],
        rates=[
            (name, _rate(name, value), *(_rate(name, review.peers_do.get(name, {}).get(of)) for of in _PEERS))
            for name, value in own.items()
        ],
        skus=[
            (side, [_sku(row) for row in rows])
            for side, rows in (("best", review.best_skus), ("worst", review.worst_skus))
        ],
        version=review.version,
        as_of=f"{review.as_of:%Y-%m-%d %H:%M}",
    )


def place_in_words(review: Review, language: Language) -> str:
    """The place of a party with its interval, or why it has none."""
    words = _words(language)
    basis = words["settled"] if review.basis == "settled" else words["net_sales"]
    if review.rank is None:
        return (
            f"同类只有{review.peers}家，太少，不排名。"
            if language == "zh"
            else f"Not ranked: {review.peers} of the same level are too few peers."
        )
    shared = ", ".join(words[name] for name in review.peers_share)
    if language == "zh":
        return (
            f"按{basis}在{review.peers}家同类（{shared}相同）中排第{review.rank}；"
            f"考虑偶然波动，名次在{review.rank_low}到{review.rank_high}之间（95%）。"
        )
    return (
        f"Place {review.rank} of {review.peers} with the same {shared}, by “{basis}”; "
        f"with what chance may do, a place from {review.rank_low} to {review.rank_high} (95%)."
    )


_PEERS = ("median", "leaders")


def _rate(name: str, value: float | None) -> str:
    if value is None:
        return _NONE
    if name == "ranked_cents":
        return yuan(round(value))
    return f"{value:.2f}" if name == "orders_per_buyer" else f"{value:.1%}"


def _sku(row: Mapping[str, Any]) -> dict[str, Any]:
    margin = row["margin_cents"]
    return {
        "sku_id": row["sku_id"],
        "units": f"{row['units']:,.10g}",
        "net_sales": yuan(row["net_sales_cents"]),
        "back": yuan(row["refunded_cents"]),
        "margin": _NONE if margin is None else yuan(margin),
        "is_debit": margin is not None and margin < 0,
    }


@cache
def _words(language: Language) -> Mapping[str, str]:
    return {name: chinese if language == "zh" else english for name, english, chinese in _WORDS}


@cache
def _template() -> Template:
    text = Path(__file__).with_name("review.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined).from_string(text)
