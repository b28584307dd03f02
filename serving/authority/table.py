"""The table: every fact that is stated from outside, who may state it, who must agree, what proves it.

Roles are those of `serving.security.Role`, limits are names of `serving.settings.Settings`; this module
stands below both and holds plain words. `docs/authority.md` shows the same table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ALL = frozenset({"operator"})
_SHOP = frozenset({"operator", "merchant"})
_SUPPLY = frozenset({"operator", "supplier"})
_TRADE = frozenset({"operator", "merchant", "supplier"})
_NOBODY: frozenset[str] = frozenset()

_OWN_KEY = "key of the party, which names no other party"
_KEY = "key of an operator"


@dataclass(frozen=True, slots=True)
class Authority:
    """Who may state a fact.

    Attributes:
        fact: Name of the fact; the audit log names it.
        says: What it is.
        roles: Roles whose keys may state it; the key of a party only about its own party.
        proof: What proves it.
        by: Who states it without a key, where that is so.
        agrees: Who must agree before it counts; empty: nobody.
        limits: Settings within which nobody needs to agree, or nothing moves at all.
        routes: `METHOD /path` of the routes that state it.
        moves_money: Whether it moves money, or only what somebody knows.
    """

    fact: str
    says: str
    roles: frozenset[str]
    proof: str
    by: str = ""
    agrees: str = ""
    limits: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    moves_money: bool = True


AUTHORITIES: tuple[Authority, ...] = (
    Authority(
        "product",
        "title and categories of a sku",
        _ALL,
        _KEY,
        routes=("PUT /v1/products",),
    ),
    Authority(
        "listing_price",
        "what a merchant asks for a unit",
        _SHOP,
        _OWN_KEY,
        routes=("PUT /v1/merchants/{merchant_id}/listings",),
    ),
    Authority(
        "assortment_decision",
        "a merchant takes a suggested sku on sale, or refuses it for 90 days",
        _SHOP,
        _OWN_KEY,
        routes=(
            "POST /v1/merchants/{merchant_id}/assortment-suggestions/{sku_id}/take",
            "POST /v1/merchants/{merchant_id}/assortment-suggestions/{sku_id}/refuse",
        ),
    ),
    Authority(
        "supplier_sku",
        "which skus a supplier may offer, and which for nothing",
        _ALL,
        _KEY,
        routes=("PUT /v1/suppliers/{supplier_id}/skus",),
    ),
    Authority(
        "offer",
        "what a supplier gets for a unit, and the freight",
        _SUPPLY,
        _OWN_KEY,
        agrees="an operator, outside the corridor of the sku",
        limits=("offer_own_bps", "offer_others_bps", "offer_reference_days"),
        routes=("PUT /v1/suppliers/{supplier_id}/offers",),
    ),
    Authority(
        "calendar",
        "in whose time zone days, months and years of the tenant begin",
        _ALL,
        "key of an operator; no month is closed by another one",
        routes=("PUT /v1/calendar",),
    ),
    Authority(
        "loss_budget",
        "what lines may lose that bring less than they cost",
        _ALL,
        _KEY,
        limits=("channel_fee_bps",),
        routes=("PUT /v1/merchants/{merchant_id}/loss-budgets",),
    ),
    Authority(
        "stock",
        "how many units a supplier has",
        _SUPPLY,
        _OWN_KEY,
        routes=("PUT /v1/suppliers/{supplier_id}/stock",),
    ),
    Authority(
        "pushed_stock",
        "how many units a supplier has, as its own system pushes it",
        _NOBODY,
        "the system's signature over its id, time, nonce and body, inside the replay window",
        by="a system of the supplier",
        routes=("POST /v1/stock-pushes/{source_id}",),
    ),
    Authority(
        "push_source",
        "by which key a system of a supplier signs what it pushes",
        _SUPPLY,
        _OWN_KEY,
        routes=(
            "POST /v1/suppliers/{supplier_id}/push-sources",
            "PUT /v1/suppliers/{supplier_id}/push-sources/{source_id}",
        ),
        moves_money=False,
    ),
    Authority(
        "purchase_policy",
        "whether the suggestions of a category are ordered by themselves, asked for, or left",
        _ALL,
        _KEY,
        routes=("PUT /v1/purchase-policies",),
        moves_money=False,
    ),
    Authority(
        "purchase",
        "units are ordered at a supplier, what it changed is taken, and what is not shipped taken back",
        _ALL,
        "key of the operator, the policy of the category, or an approval; an offer in force",
        routes=(
            "POST /v1/purchase-orders",
            "POST /v1/purchase-orders/{purchase_order_id}/agree",
            "POST /v1/purchase-orders/{purchase_order_id}/cancel",
            "POST /v1/purchase-orders/{purchase_order_id}/close",
        ),
        moves_money=False,
    ),
    Authority(
        "purchase_answer",
        "what a supplier brings of a purchase order and when, or nothing, and that it is on its way",
        _SUPPLY,
        "key of the supplier whose order it is; never more than ordered",
        routes=(
            "POST /v1/suppliers/{supplier_id}/purchase-orders/{purchase_order_id}/answer",
            "POST /v1/suppliers/{supplier_id}/purchase-orders/{purchase_order_id}/decline",
            "POST /v1/suppliers/{supplier_id}/purchase-orders/{purchase_order_id}/shipments",
        ),
        moves_money=False,
    ),
    Authority(
        "purchase_receipt",
        "units of a purchase order arrived and are stock",
        _ALL,
        "the count at the door; never more than was shipped",
        routes=("POST /v1/purchase-orders/{purchase_order_id}/receipts",),
        moves_money=False,
    ),
    Authority(
        "transfer",
        "free units of a supplier shall go to another of its warehouses, or stay after all",
        _ALL,
        "key of the operator, or an approval; units that nothing reserves, where the supplier counts them",
        routes=("POST /v1/transfers", "POST /v1/transfers/{transfer_id}/cancel"),
        moves_money=False,
    ),
    Authority(
        "transfer_step",
        "units of a transfer left one warehouse, or arrived in the other",
        _SUPPLY,
        "key of the supplier whose units they are; never more than planned, or than left",
        routes=(
            "POST /v1/suppliers/{supplier_id}/transfers/{transfer_id}/shipment",
            "POST /v1/suppliers/{supplier_id}/transfers/{transfer_id}/receipt",
        ),
        moves_money=False,
    ),
    Authority(
        "order",
        "what a consumer orders in a shop, which coupons it uses, and the roles in the sale",
        _SHOP,
        "key of the shop; prices are the listing's, costs the offers'",
        agrees="the plan in force limits every discount and every role",
        routes=("POST /v1/orders",),
    ),
    Authority(
        "discount",
        "a coupon programme: what it takes off, its funders, its budget, who gets one",
        _SHOP,
        "key of the issuer",
        agrees="every funder, for its own share",
        routes=(
            "POST /v1/coupon-programmes",
            "POST /v1/coupon-programmes/{programme_id}/coupons",
        ),
    ),
    Authority(
        "discount_funding",
        "a funder agrees to bear its share of a programme, or ends it",
        _TRADE,
        "key of the funder",
        routes=(
            "POST /v1/coupon-programmes/{programme_id}/consent",
            "POST /v1/coupon-programmes/{programme_id}/close",
        ),
    ),
    Authority(
        "promotion",
        "a promotion: which method, of what, when, how many units, and that it ends",
        _SHOP,
        "key of the shop; the published floor, unless others bear what is below it; its coupon programme",
        agrees="every funder, for its own share of its programme",
        routes=("POST /v1/promotions", "POST /v1/promotions/{promotion_id}/close"),
    ),
    Authority(
        "promotion_approval",
        "a promotion may be taken of",
        _SHOP,
        "another key than the one that put it forward",
        routes=("POST /v1/promotions/{promotion_id}/approve",),
    ),
    Authority(
        "order_cancel",
        "an unpaid order ends, or units of a line that nobody has shipped",
        _SHOP,
        "key of the shop; nothing of it was shipped",
        routes=(
            "POST /v1/orders/{order_id}/cancel",
            "POST /v1/orders/{order_id}/lines/{line_no}/cancel",
        ),
    ),
    Authority(
        "payment",
        "what a buyer paid, what a refund or a pay-out came to, and the channel's fee",
        _NOBODY,
        "the channel's signature over time, nonce and body, inside the replay window",
        by="the payment channel",
        routes=("POST /v1/channels/{channel_id}/notices",),
    ),
    Authority(
        "payment_query",
        "the channel shall be asked about a payment; what it answers is the fact",
        _ALL,
        "the channel's signed answer",
        routes=("POST /v1/payments/{payment_id}/query",),
    ),
    Authority(
        "channel",
        "an account at a payment channel, its certificates, fee and split by contract, and whom it pays",
        _ALL,
        "the contract with the channel",
        routes=(
            "POST /v1/channels",
            "PUT /v1/channels/{channel_id}",
            "PUT /v1/channels/{channel_id}/payees",
            "PUT /v1/channels/{channel_id}/receivers",
        ),
    ),
    Authority(
        "misfit",
        "what becomes of money that fits no order, refund or pay-out",
        _ALL,
        "reason code; an order that costs exactly as much, or the channel gives it back",
        agrees="a second operator, where a party or the platform gets or bears it",
        limits=("alone_posting_cents",),
        routes=("POST /v1/misfits/{misfit_id}/resolutions",),
    ),
    Authority(
        "channel_request",
        "a channel is asked once more for a refund or a pay-out, under the same reference",
        _ALL,
        "the request; the channel does a reference once",
        routes=("POST /v1/channel-requests/{reference}/retry",),
    ),
    Authority(
        "sub_order",
        "a supplier takes its part of an order, or does not",
        _SUPPLY,
        "key of the supplier whose part it is",
        routes=(
            "POST /v1/orders/{order_id}/suborders/{supplier_id}/accept",
            "POST /v1/orders/{order_id}/suborders/{supplier_id}/reject",
        ),
    ),
    Authority(
        "shipment",
        "a parcel is on its way",
        _SUPPLY,
        "key of the supplier whose part it is; carrier and tracking number",
        routes=("POST /v1/orders/{order_id}/suborders/{supplier_id}/shipments",),
    ),
    Authority(
        "receipt",
        "the buyer has the goods; the days until release count from here",
        _SHOP,
        "key of the shop, or the days of the plan have passed",
        routes=("POST /v1/orders/{order_id}/receipt",),
    ),
    Authority(
        "after_sale",
        "a buyer wants money back, returns goods or complains",
        _TRADE,
        "key of a party of the order",
        routes=("POST /v1/orders/{order_id}/after-sales",),
    ),
    Authority(
        "after_sale_answer",
        "a supplier agrees with a case or does not, counts what came back and what is stock again",
        _SUPPLY,
        "key of the supplier whose line it is",
        routes=(
            "POST /v1/after-sales/{case_id}/answer",
            "POST /v1/after-sales/{case_id}/return-receipt",
        ),
    ),
    Authority(
        "return_parcel",
        "goods of a case are on their way back",
        _SHOP,
        "key of the shop; carrier and tracking number",
        routes=("POST /v1/after-sales/{case_id}/parcel",),
        moves_money=False,
    ),
    Authority(
        "arbitration",
        "who is right about a case with which the supplier does not agree",
        _ALL,
        _KEY,
        routes=("POST /v1/after-sales/{case_id}/arbitration",),
    ),
    Authority(
        "refund",
        "money goes back to the buyer, or a case ends without",
        _SHOP,
        "key of the shop; an open case of the order",
        agrees="of shipped goods the supplier, by its word or by days of silence, or an operator; never more"
        " than the case asked for, the line has left and the units are worth that came back",
        routes=(
            "POST /v1/after-sales/{case_id}/refund",
            "POST /v1/after-sales/{case_id}/reject",
            "POST /v1/after-sales/{case_id}/close",
        ),
    ),
    Authority(
        "points",
        "a buyer pays part of a line with points",
        _SHOP,
        "key of the shop; the points are the buyer's",
        routes=("POST /v1/orders/{order_id}/lines/{line_no}/points",),
    ),
    Authority(
        "agent",
        "somebody sells for a merchant, invited by somebody",
        _SHOP,
        "key of the merchant",
        routes=("POST /v1/agents",),
    ),
    Authority(
        "scene",
        "where sales happen beside their shop, and who holds the role that is paid for it",
        _SHOP,
        "opened beforehand by the shop; an order names it and takes its role as of then",
        agrees="the holder, where it does not belong to the shop",
        routes=("POST /v1/scenes",),
    ),
    Authority(
        "scene_agreement",
        "a party agrees to hold a scene",
        frozenset({"merchant", "agent"}),
        _OWN_KEY,
        routes=("POST /v1/scenes/{scene_id}/agreement",),
    ),
    Authority(
        "scene_end",
        "a scene closes",
        frozenset({"operator", "merchant", "agent"}),
        "key of the shop or of the holder",
        routes=("POST /v1/scenes/{scene_id}/close",),
    ),
    Authority(
        "invitation",
        "an agent invites a consumer into a shop",
        frozenset({"operator", "merchant", "agent"}),
        _OWN_KEY,
        agrees="the consumer, by following the link",
        limits=("invitation_days",),
        routes=("POST /v1/invitations",),
    ),
    Authority(
        "referral",
        "a consumer follows an agent in a shop",
        _SHOP,
        "the signed link, and the consumer's act in the shop that it names; the first one counts",
        limits=("referral_window_days",),
        routes=("POST /v1/invitations/{token}/bind",),
    ),
    Authority(
        "protected_region",
        "sales of a region belong to an agent",
        _ALL,
        _KEY,
        routes=("PUT /v1/agents/{agent_id}/protected-regions/{region_code}",),
    ),
    Authority(
        "violation",
        "an agent broke a rule, or did not after all",
        _ALL,
        "evidence kept with the points",
        routes=(
            "POST /v1/agents/{agent_id}/violations",
            "POST /v1/agents/{agent_id}/violations/{violation_id}/withdrawal",
        ),
    ),
    Authority(
        "termination",
        "an agent's contract ends after the review",
        _ALL,
        "the review of the points",
        routes=("POST /v1/agents/{agent_id}/termination",),
    ),
    Authority(
        "diversion",
        "whether sales were diverted from another's region",
        _ALL,
        "the score of the sales",
        routes=("POST /v1/agents/{agent_id}/diversion-reviews",),
    ),
    Authority(
        "tier",
        "the tier of an agent",
        _NOBODY,
        "settled sales of the month",
        by="the close of the month",
    ),
    Authority(
        "verification",
        "a party is who it says, and has a contract",
        _NOBODY,
        "the documents that the operator keeps",
        by="the installation's own files of parties",
    ),
    Authority(
        "deposit",
        "what an agent keeps with the platform",
        _NOBODY,
        "settled sales and points",
        by="the rules of the plan",
    ),
    Authority(
        "legal_review",
        "a plan version was reviewed",
        _ALL,
        "name of the document",
        routes=("POST /v1/plans/{plan_id}/legal-reviews",),
    ),
    Authority(
        "plan",
        "rules by which money is shared",
        _ALL,
        "the document; seven days' notice, and the limits of its profile",
        agrees="a second operator",
        routes=("POST /v1/plans",),
    ),
    Authority(
        "plan_assignment",
        "a merchant, or everybody else, is settled by a plan from a moment on",
        _ALL,
        "the published version; seven days' notice to who sells already, never in the past",
        agrees="a second operator, unless the tenant has no plan at all",
        routes=("POST /v1/plans/in-force", "POST /v1/plans/{plan_id}/assignments"),
    ),
    Authority(
        "fee",
        "a service or a slot is paid for, or given back",
        _ALL,
        "the contract",
        routes=(
            "POST /v1/fees/service",
            "POST /v1/fees/slot",
            "POST /v1/fees/{fee_id}/reversals",
        ),
    ),
    Authority(
        "penalty",
        "a party pays for a breach",
        _ALL,
        "reason code",
        agrees="a second operator",
        limits=("alone_fee_cents",),
        routes=("POST /v1/fees/penalties",),
    ),
    Authority(
        "region_compensation",
        "part of a seller's share goes to the agent of a region",
        _ALL,
        "the leg it is based on, and the plan's share of it",
        agrees="a second operator",
        limits=("alone_fee_cents",),
        routes=("POST /v1/fees/compensations",),
    ),
    Authority(
        "guarantee",
        "what a party pays into the guarantee fund, and who is paid from it",
        _ALL,
        "the claim",
        routes=("POST /v1/guarantees/payments", "POST /v1/guarantees/clearings"),
    ),
    Authority(
        "debt_repayment",
        "a party pays what it owes",
        _ALL,
        "the transfer",
        routes=("POST /v1/debts/repayments",),
    ),
    Authority(
        "write_off",
        "a debt of a party is given up",
        _ALL,
        "reason code",
        agrees="a second operator",
        limits=("alone_fee_cents",),
        routes=("POST /v1/debts/write-offs",),
    ),
    Authority(
        "hold",
        "money is not released for now, or is after all",
        _ALL,
        "reason code; the party may appeal",
        routes=(
            "POST /v1/holds",
            "POST /v1/holds/{hold_id}/lift",
            "POST /v1/holds/{hold_id}/confirm",
        ),
    ),
    Authority(
        "payout",
        "money goes to a party, and arrived or did not",
        _ALL,
        "available balance of a verified party",
        agrees="a second operator",
        limits=("alone_payout_cents", "alone_payout_batch_cents"),
        routes=(
            "POST /v1/payout-batches",
            "POST /v1/payouts/{payout_id}/confirm",
            "POST /v1/payouts/{payout_id}/fail",
        ),
    ),
    Authority(
        "period_close",
        "no entry of a month comes late any more",
        _ALL,
        _KEY,
        routes=("POST /v1/periods/{month}/close",),
    ),
    Authority(
        "channel_bill",
        "what the channel says it moved and kept",
        _ALL,
        "the bill of the channel",
        routes=("POST /v1/channel-bills", "POST /v1/reconciliations"),
    ),
    Authority(
        "manual_posting",
        "entries by hand",
        _ALL,
        "reason and idempotency key",
        agrees="a second operator",
        limits=("alone_posting_cents",),
        routes=("POST /v1/ledger/transactions",),
    ),
    Authority(
        "price_move",
        "a suggested price that asks is put before an operator, and into force when approved",
        _ALL,
        "the suggestion that readers see, with its floor and ceiling of then",
        agrees="an operator; a second one where a unit moves by more than 100 yuan",
        routes=("POST /v1/prices/{merchant_id}/approvals",),
    ),
    Authority(
        "product_unmatch",
        "two skus that were accepted as one product are two again",
        _ALL,
        "reason; the acceptance and its end stay on record",
        agrees="a second operator",
        routes=("POST /v1/product-matches/undo",),
        moves_money=False,
    ),
    Authority(
        "quality_override",
        "a sku is held at another level of the quality brake than the estimates say, for a while",
        _ALL,
        "reason and end; the numbers behind the level stay on record",
        agrees="a second operator",
        routes=("POST /v1/quality/overrides",),
    ),
    Authority(
        "quality_sign_off",
        "what a department found about a held sku; the fifth signature releases one level",
        _ALL,
        "key of an operator, one department a key",
        agrees="the other four departments",
        routes=("POST /v1/quality/cases/{improvement_case_id}/sign-offs",),
    ),
    Authority(
        "supervision_statement",
        "papers or an appeal to a case of supervision; nothing is due until it is decided",
        frozenset({"merchant", "supplier"}),
        "key of the party of the case",
        routes=("POST /v1/supervision/cases/{listing_case_id}/statements",),
        moves_money=False,
    ),
    Authority(
        "purchase_invoice",
        "an invoice by which a party bought goods, and how many units of a sku are on it",
        frozenset({"merchant", "supplier"}),
        "form of the numbers, check character of the issuer; what others stated may deny it",
        routes=("POST /v1/supervision/invoices",),
        moves_money=False,
    ),
    Authority(
        "supervision_decision",
        "whether a listing or an offer that supervision holds sells again",
        _ALL,
        "finding in writing; the signs and what the party said stay on record; never the key that spoke",
        routes=("POST /v1/supervision/cases/{listing_case_id}/decisions",),
    ),
    Authority(
        "supervision_deposit",
        "a party whose listing was taken off sets money aside; it goes back when the case is cleared",
        _ALL,
        "case at the last level, available balance of the party",
        agrees="a second operator",
        routes=(
            "POST /v1/supervision/cases/{listing_case_id}/deposits",
            "POST /v1/supervision/cases/{listing_case_id}/deposit-returns",
        ),
    ),
    Authority(
        "experiment",
        "what is tried on which consumers, skus or merchants, who gets an arm's coupon, and that it stops",
        _ALL,
        "the digest of what it says",
        agrees="a second operator, for starting",
        routes=(
            "POST /v1/experiments",
            "POST /v1/experiments/{experiment_id}/coupons",
            "POST /v1/experiments/{experiment_id}/start",
            "POST /v1/experiments/{experiment_id}/stop",
        ),
        moves_money=False,
    ),
    Authority(
        "journey",
        "what consumers are told by which rules, and that it pauses, goes on or stops",
        _ALL,
        "the version and the digest of what it says",
        agrees="a second operator, for coming into force",
        routes=(
            "POST /v1/journeys",
            "POST /v1/journeys/{journey_id}/versions/{version}/in-force",
            "POST /v1/journeys/{journey_id}/pause",
            "POST /v1/journeys/{journey_id}/resume",
            "POST /v1/journeys/{journey_id}/stop",
        ),
        moves_money=False,
    ),
    Authority(
        "journey_work",
        "what came of a message or of a task that a journey asked for",
        _ALL,
        "the channel's name of the notice; the claim of the key",
        routes=(
            "POST /v1/journey-receipts",
            "POST /v1/journey-tasks/{task_id}/claim",
            "POST /v1/journey-tasks/{task_id}/end",
        ),
        moves_money=False,
    ),
    Authority(
        "member_programme",
        "how growth is earned, what levels ask and give, and how one falls",
        _ALL,
        "the version and the digest of what it says; the coupon programmes that it names are in force",
        agrees="a second operator, for coming into force",
        routes=(
            "POST /v1/member-programmes",
            "POST /v1/member-programmes/{version}/in-force",
        ),
        moves_money=False,
    ),
    Authority(
        "member_notice",
        "that a member was told of being at risk of going down",
        _ALL,
        "the time of risk; the first notice stands",
        routes=("POST /v1/members/{consumer_id}/notice",),
        moves_money=False,
    ),
    Authority(
        "channel_test",
        "what is tested of a marketing channel, and that the test is given up",
        _ALL,
        "declared before its first day, and never changed",
        routes=(
            "POST /v1/channel-tests",
            "POST /v1/channel-tests/{test_id}/stop",
        ),
        moves_money=False,
    ),
    Authority(
        "link_destination",
        "where short links of a shop may lead",
        _ALL,
        _KEY,
        routes=(
            "PUT /v1/merchants/{merchant_id}/link-destinations/{destination_id}",
            "DELETE /v1/merchants/{merchant_id}/link-destinations/{destination_id}",
        ),
        moves_money=False,
    ),
    Authority(
        "link",
        "a short link of a shop or an agent, and that it is revoked",
        frozenset({"operator", "merchant", "agent"}),
        "signature of the tenant's key over what the link stands for",
        limits=("link_days",),
        routes=(
            "POST /v1/links",
            "POST /v1/links/{link_id}/revoke",
        ),
        moves_money=False,
    ),
    Authority(
        "link_click",
        "whose a click on a short link was",
        _SHOP,
        "the number of the click, which only its visitor's page got; once, within a day",
        routes=("POST /v1/link-clicks/{click_id}/visitor",),
        moves_money=False,
    ),
    Authority(
        "community",
        "a community of a shop's consumers, what is planned for it, and that it closes",
        _SHOP,
        "key of the shop; its id stands for its words",
        routes=(
            "POST /v1/communities",
            "POST /v1/communities/{community_id}/activities",
            "POST /v1/communities/{community_id}/close",
        ),
        moves_money=False,
    ),
    Authority(
        "community_membership",
        "that a consumer agreed to be in a community, or left it",
        _SHOP,
        "the shop says that the consumer agreed; nobody who was erased",
        routes=(
            "POST /v1/communities/{community_id}/members",
            "POST /v1/communities/{community_id}/members/{consumer_id}/leave",
        ),
        moves_money=False,
    ),
    Authority(
        "feedback",
        "what a consumer wrote, what it is about, and what is answered in public",
        _SHOP,
        "the sender's id of the text; texts of the key's own shop alone",
        routes=(
            "POST /v1/feedback",
            "POST /v1/feedback/{feedback_no}/topic",
            "POST /v1/feedback/{feedback_no}/answer",
        ),
        moves_money=False,
    ),
    Authority(
        "training",
        "who gets a seat of a training: half by lot until a gain is measured",
        _ALL,
        "the id of the plan; the seed of the lot is drawn here and stays with the seats",
        routes=("POST /v1/trainings",),
        moves_money=False,
    ),
    Authority(
        "material",
        "what is said of goods for agents to spread",
        _SHOP,
        "the id of the text, of the key's own shop alone; no forbidden word in it",
        routes=("POST /v1/materials", "POST /v1/materials/{material_id}/withdraw"),
        moves_money=False,
    ),
    Authority(
        "material_release",
        "that a text with a forbidden word may be spread all the same",
        _ALL,
        "a reason; never the key that wrote it",
        routes=("POST /v1/materials/{material_id}/release",),
        moves_money=False,
    ),
    Authority(
        "approval",
        "another person's decision about what was asked",
        _ALL,
        "version and digest of what was shown; never the key that asked",
        routes=(
            "POST /v1/approvals/{approval_id}/approve",
            "POST /v1/approvals/{approval_id}/adjust",
            "POST /v1/approvals/{approval_id}/reject",
            "POST /v1/approvals/{approval_id}/snooze",
            "POST /v1/approvals/{approval_id}/withdraw",
            "POST /v1/approval-batches",
            "POST /v1/approval-batches/{batch_id}/decide",
        ),
    ),
    Authority(
        "event",
        "what a consumer did",
        frozenset({"operator", "merchant", "agent"}),
        _OWN_KEY,
        routes=("POST /v1/events",),
        moves_money=False,
    ),
    Authority(
        "observation",
        "what was seen of a parcel, a capacity, stock or a device",
        _SUPPLY,
        "key of the supplier whose parcel, capacity or stock it is; the parcel was shipped",
        routes=("POST /v1/observations",),
        moves_money=False,
    ),
    Authority(
        "supply_alarm",
        "an alarm of the supply watch was seen, is looked after, or needs nothing more",
        _ALL,
        "reason code; who did it stands in its life",
        routes=(
            "POST /v1/supply-alarms/{alarm_id}/acknowledge",
            "POST /v1/supply-alarms/{alarm_id}/assign",
            "POST /v1/supply-alarms/{alarm_id}/resolve",
        ),
        moves_money=False,
    ),
    Authority(
        "supply_alternative",
        "lines that nobody has shipped go to another supplier, or come later",
        _ALL,
        "an alarm that stands; offers in force, stock, and no loss outside the budget",
        agrees="nobody; by itself where the policy of the category lets it",
        limits=("channel_fee_bps",),
        routes=("POST /v1/supply-alarms/{alarm_id}/alternatives/{option_no}/take",),
    ),
    Authority(
        "supply_alarm_policy",
        "whether lines of a category go to another supplier by themselves when theirs fails",
        _ALL,
        _KEY,
        routes=("PUT /v1/supply-alarm-policies",),
        moves_money=False,
    ),
    Authority(
        "competitor_price",
        "what a competitor asks",
        _SHOP,
        _OWN_KEY,
        routes=("POST /v1/competitor-prices",),
        moves_money=False,
    ),
    Authority(
        "route_plan",
        "stops and vehicles for which routes are computed; nothing is stored",
        _SUPPLY,
        _OWN_KEY,
        routes=("POST /v1/routes/plan",),
        moves_money=False,
    ),
    Authority(
        "consumer",
        "a consent, an erasure, which visitor a consumer is",
        _ALL,
        "evidence of the consumer",
        routes=(
            "POST /v1/consumers/{consumer_id}/consents",
            "POST /v1/consumers/{consumer_id}/erasure",
            "POST /v1/identity/visitors/{anonymous_id}/links",
            "POST /v1/identity/visitors/{anonymous_id}/revocations",
        ),
        moves_money=False,
    ),
    Authority(
        "webhook",
        "where a party is told",
        _TRADE,
        _OWN_KEY,
        routes=(
            "POST /v1/webhooks",
            "PUT /v1/webhooks/{endpoint_id}",
            "DELETE /v1/webhooks/{endpoint_id}",
        ),
        moves_money=False,
    ),
)
"""Every fact, in the order of the page."""


def authority_of(method: str, path: str) -> Authority | None:
    """The authority that a route uses; None when it states nothing.

    Args:
        method: HTTP method.
        path: Path with its parameters in braces, as the application registers it, typed or not.
    """
    return _BY_ROUTE.get(f"{method} {_TYPED.sub('}', path)}")


_TYPED = re.compile(r":[a-z]+\}")


def _by_route() -> Mapping[str, Authority]:
    found: dict[str, Authority] = {}
    for authority in AUTHORITIES:
        for route in authority.routes:
            if route in found:
                raise ValueError(f"{route} states {found[route].fact} and {authority.fact}")
            found[route] = authority
    return found


_BY_ROUTE = _by_route()
