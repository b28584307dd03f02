"""What approvals do: every kind with its effect, for the API and for the jobs.

To put an act before two people: describe its kind (`serving.approvals.catalogue`), add a `Wired` here, and
let its route call `serving.api.approvals.four_eyes.two_people`. The suggestion holds what the effect reads.
"""

from __future__ import annotations

from datetime import datetime

import psycopg

from serving.approvals.asking import Ask
from serving.approvals.catalogue import (
    MANUAL_POSTING,
    MISFIT_ACT,
    PAYOUT_BATCH,
    PENALTY,
    PLAN_ASSIGNMENT,
    PLAN_VERSION,
    REGION_COMPENSATION,
    WRITE_OFF,
)
from serving.approvals.documents import FIELD, document_of
from serving.approvals.effects import Done, Effects, Wired
from serving.approvals.records import Approval
from serving.experiments.asking import EXPERIMENT, start_approved
from serving.journeys.asking import JOURNEY, put_approved_into_force
from serving.ledger.accounts import Party
from serving.ledger.manual import posting_of
from serving.ledger.posting import post
from serving.members.asking import MEMBER_PROGRAMME
from serving.members.asking import put_approved_into_force as put_programme_into_force
from serving.orders.assortment.offer_requests import OFFER
from serving.orders.assortment.offers import accept_proposal
from serving.orders.webhooks.recall_notices import tell_of_recalls
from serving.purchasing.placing import PURCHASE, place_approved
from serving.quality.overrides import QUALITY_OVERRIDE, set_override
from serving.scores.price_moves import PRICE_MOVE, move_price
from serving.settings import Settings
from serving.settlement.beside.fees import charge_penalty, compensate_region, plan_of_leg
from serving.settlement.books.receivables import write_off
from serving.settlement.channel.misfit_acts import Act, Resolution, resolve_misfit
from serving.settlement.payouts import amounts_of, prepare_payouts
from serving.settlement.plans.assignments import assign_plan, put_into_force
from serving.settlement.plans.store import publish_plan
from serving.supervision.deposits import DEPOSIT, DEPOSIT_RETURN, return_deposit, take_deposit
from serving.supply.matches import PRODUCT_MATCH, accept_match
from serving.transfers.suggesting import TRANSFER, plan_approved


def alone_cents(settings: Settings, ask: Ask) -> int | None:
    """Most that one person does alone of what is asked, fen; None: nothing, whatever its value."""
    if ask.suggestion.get("highest_cents", 0) > settings.alone_payout_cents:
        return None
    return {
        MANUAL_POSTING.name: settings.alone_posting_cents,
        PAYOUT_BATCH.name: settings.alone_payout_batch_cents,
        MISFIT_ACT.name: settings.alone_posting_cents,
        PENALTY.name: settings.alone_fee_cents,
        REGION_COMPENSATION.name: settings.alone_fee_cents,
        WRITE_OFF.name: settings.alone_fee_cents,
    }.get(ask.kind.name)


def _post_by_hand(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    posted = post(conn, tenant_id, posting_of(f"manual:{approval.subject_id}", approval.wanted))
    return {"transaction_id": posted.transaction_id}


def _publish_plan(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    plan = publish_plan(conn, tenant_id, document_of(conn, tenant_id, approval), now)
    return {"plan_id": plan.plan_id, "version": plan.version}


def _assign_plan(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    wanted = approval.wanted
    merchant_id = wanted["merchant_id"]
    effective_at = wanted.get("effective_at")
    at = None if effective_at is None else datetime.fromisoformat(effective_at)
    if FIELD in wanted:
        document = document_of(conn, tenant_id, approval)
        made = put_into_force(
            conn,
            tenant_id,
            now,
            document=document,
            merchant_id=merchant_id,
            effective_at=at,
        )
    else:
        made = assign_plan(conn, tenant_id, merchant_id, wanted["plan_id"], at, now)
    return {"plan_id": made.plan_id, "effective_at": made.effective_at.isoformat()}


def _send_payouts(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    sent = prepare_payouts(
        conn,
        tenant_id,
        approval.subject_id,
        approval.wanted["adapter"],
        now,
        approval.wanted["threshold_cents"],
        approval.wanted["party_types"],
        most=amounts_of(document_of(conn, tenant_id, approval)),
    )
    return {"payouts": len(sent), "sum_cents": sum(payout.amount_cents for payout in sent)}


def _act_on_misfit(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    wanted = approval.wanted
    party = Party(wanted["party_type"], wanted["party_id"]) if wanted["party_type"] != "none" else None
    act = Resolution(Act(wanted["act"]), wanted["reason_code"], f"approval:{approval.approval_id}", party)
    misfit = resolve_misfit(conn, tenant_id, int(approval.subject_id), act, now)
    return {"misfit_id": misfit.misfit_id, "amount_cents": misfit.booked_cents}


def _penalise(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    wanted = approval.wanted
    payer = Party(wanted["party_type"], wanted["party_id"])
    fee = charge_penalty(
        conn, tenant_id, approval.subject_id, payer, wanted["amount_cents"], wanted["reason_code"], now
    )
    return {"fee_id": fee.fee_id, "amount_cents": fee.amount_cents}


def _compensate(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    wanted = approval.wanted
    fee = compensate_region(
        conn,
        tenant_id,
        approval.subject_id,
        plan_of_leg(conn, tenant_id, wanted["leg_id"]),
        wanted["leg_id"],
        Party("agent", wanted["agent_id"]),
        wanted["share_bps"],
        now,
    )
    return {"fee_id": fee.fee_id, "amount_cents": fee.amount_cents}


def _write_off(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    wanted = approval.wanted
    party = Party(wanted["party_type"], wanted["party_id"])
    posted = write_off(conn, tenant_id, approval.subject_id, party, wanted["amount_cents"], now)
    return {"transaction_id": posted.transaction_id, "amount_cents": wanted["amount_cents"]}


def _override(conn: psycopg.Connection, tenant_id: str, approval: Approval, now: datetime) -> Done:
    done = set_override(conn, tenant_id, approval, now)
    tell_of_recalls(conn, tenant_id, now)
    return done


EFFECTS = Effects(
    [
        Wired(MANUAL_POSTING, _post_by_hand),
        Wired(PLAN_VERSION, _publish_plan),
        Wired(PLAN_ASSIGNMENT, _assign_plan),
        Wired(PAYOUT_BATCH, _send_payouts),
        Wired(MISFIT_ACT, _act_on_misfit),
        Wired(PENALTY, _penalise),
        Wired(REGION_COMPENSATION, _compensate),
        Wired(WRITE_OFF, _write_off),
        Wired(OFFER, accept_proposal),
        Wired(PRICE_MOVE, move_price),
        Wired(QUALITY_OVERRIDE, _override),
        Wired(PURCHASE, place_approved),
        Wired(TRANSFER, plan_approved),
        Wired(PRODUCT_MATCH, accept_match),
        Wired(DEPOSIT, take_deposit),
        Wired(DEPOSIT_RETURN, return_deposit),
        Wired(JOURNEY, put_approved_into_force),
        Wired(EXPERIMENT, start_approved),
        Wired(MEMBER_PROGRAMME, put_programme_into_force),
    ]
)
