"""What turns up between a pay-out and its end: other receivers, refunds, silence, death, doubt; paid once."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from held_payments import DAY, PAID, PRICE, SUPPLY, asked, states
from simulated_till import till_with_server
from small_market import NOW, TENANT

from serving.channels.errors import ChannelKeyError
from serving.channels.facts import Progress, SplitFact, SplitKind, SplitWanted
from serving.channels.heard import note_fact
from serving.channels.receivers import put_receiver
from serving.channels.requests import money_at, reference_of
from serving.channels.simulated.adapter import SimulatedAdapter
from serving.ledger.accounts import Party
from serving.orders.after_sales import after_sales
from serving.orders.fulfilment import fulfilment, receipts
from serving.orders.paying.misfits import match_misfit
from serving.orders.settling import release_due, unfreeze_due
from serving.privacy.data_keys import Vault
from serving.security import ROLE_SCOPES, Role, issue_key
from serving.settlement.channel.bill import Bill, as_csv, load_bill
from serving.settlement.channel.misfit_acts import Act, Resolution, resolve_misfit
from serving.settlement.channel.reconciliation import reconcile
from serving.settlement.channel.requests import send_due, take_progress
from serving.settlement.channel.suspense import misfits_of
from serving.settlement.payouts import prepare_payouts

pytestmark = pytest.mark.xdist_group("channel_split_turns")  # one world for all, in order

S1, M1 = Party("supplier", "S1"), Party("merchant", "m1")


@pytest.fixture
def receives(call, till):
    def put(account, party_id="S1"):
        body = {"party_type": "supplier", "party_id": party_id, "account": account, "name": "供应商"}
        assert call("op", "PUT", f"/channels/{till.channel_id}/receivers", body).status_code == 204

    return put


@pytest.fixture
def refund(shop):
    def take(order, cents):
        case = shop.agreed_case(order, 1, None, "refund", "broken", cents, PAID)
        shop.act(after_sales.refund_case, case.case_id, cents, PAID)

    return take


@pytest.fixture
def free(shop, till):
    """What we take the account to hold free."""

    def at(moment=PAID):
        with shop.transaction() as conn:
            return money_at(conn, TENANT, till.channel_id, moment)

    return at


def got(till, account="190001"):
    return till.bank.received.get(account, 0)


def payout_of(shop, order):
    """The one part of an order's payment."""
    ((payout_id,),) = shop.sql("select payout_id from settlement.payout where order_id = %(o)s", o=order)
    return payout_id


def misfit_of(shop, reference):
    with shop.transaction() as conn:
        found = misfits_of(conn, TENANT, "open", after=0, limit=50)
    (misfit,) = [one for one in found if one.reference == reference]
    return misfit


def test_another_receiver_gets_the_next_part_and_none_twice(shop, till, sold, pay_out, run, receives):
    """The channel split and did not say so; the party has another account by the time it is asked again."""
    sold("a0")
    pay_out("a0", party_types=["supplier"])
    run()
    sold("a1")
    before = shop.balances()
    pay_out("a1", party_types=["supplier"])
    till.bank.faults.silent = 1
    assert run(1).waiting >= 1
    assert till.bank.received == {"190001": 2 * SUPPLY}
    receives("190002")
    for minutes in (5, 30, 200):
        run(minutes)
    assert states(shop, "a1") == {"a1": "paid"}
    assert shop.moved(before)["supplier_available", "S1"] == -SUPPLY
    assert till.bank.received == {"190001": 2 * SUPPLY}
    sold("a2")
    pay_out("a2", party_types=["supplier"])
    run(300)
    assert till.bank.received == {"190001": 2 * SUPPLY, "190002": SUPPLY}


def test_what_comes_back_comes_from_whom_it_went_to(shop, till, sold, pay_out, run, receives, refund):
    sold("b1")
    pay_out("b1", party_types=["supplier"])
    run()
    before = shop.balances()
    receives("190002")
    refund("b1", 400)
    run(1)
    assert asked(shop, till)["split_return", "b1"] == ("done", 240)
    assert till.bank.received == {"190001": SUPPLY - 240}
    assert ("clawback_receivable", "S1") not in shop.moved(before)


def test_a_refund_that_comes_before_its_part_is_sent(shop, till, sold, pay_out, run, refund):
    """All is given back between the pay-out and its request: the part finds nothing, and nobody owes."""
    sold("c0")
    before = shop.balances()
    pay_out("c0", party_types=["supplier"])
    refund("c0", PRICE)
    run()
    run(60)
    assert got(till) == 0
    assert states(shop, "c0") == {"c0": "failed"}
    assert ("clawback_receivable", "S1") not in shop.moved(before)
    assert shop.moved(before)["supplier_available", "S1"] == -SUPPLY
    assert asked(shop, till)["refund", "c0"] == ("done", PRICE)


@pytest.mark.parametrize(
    ("end", "kept", "available"), [(Progress.DONE, SUPPLY - 240, -SUPPLY), (Progress.FAILED, 0, -240)]
)
def test_a_refund_while_the_channel_is_at_a_part(
    shop, till, sold, pay_out, run, refund, end, kept, available
):
    """Done: 2.40 come back. Failed: the debt is paid with it, and 3.60 go by a transfer."""
    order = f"c-{end}"
    sold(order)
    before = shop.balances()
    pay_out(order, party_types=["supplier"])
    till.bank.faults.slow = True
    assert run().accepted == 1
    refund(order, 400)
    assert shop.moved(before)["clawback_receivable", "S1"] == -240
    till.bank.faults.slow = False
    till.bank.finish_split(reference_of(TENANT, "split", payout_of(shop, order)), end)
    run(10)
    run(20)
    assert got(till) == kept
    assert ("clawback_receivable", "S1") not in shop.moved(before)
    assert shop.moved(before)["supplier_available", "S1"] == available
    rest = pay_out(f"{order}-rest", party_types=["supplier"])
    assert rest == ({} if kept else {("S1", None): SUPPLY - 240})
    run(30)
    run(60)
    assert states(shop, f"{order}-rest") == ({} if kept else {"S1": "paid"})


def test_a_party_whose_name_ends_like_a_part_and_names_as_long_as_they_may_be(
    shop, till, pay_out, run, receives
):
    """All are paid, under ids of their own that can be asked for."""
    batch = "b" * 128
    for number, name in enumerate(("S1", "S1:split-0", "S" + ":" * 127)):
        shop.sql(
            "insert into parties.party (tenant_id, party_type, party_id, is_verified)"
            " values (%(t)s, 'supplier', %(n)s, true) on conflict do nothing",
            t=TENANT,
            n=name,
        )
        sku, order = f"d{number}", f"{'d' * 127}{number}"
        shop.list(sku, PRICE)
        shop.supply(name, sku, 100, price=500 + number)
        shop.place(order, (sku, 1))
        assert till.pay(order, PRICE, payment_id=f"pay-{sku}", paid_at=NOW)[0] == 200
        shop.act(fulfilment.accept, order, name, {}, NOW)
        shop.act(fulfilment.ship, order, name, fulfilment.Parcel(f"sh-{sku}", NOW + 3 * DAY, NOW))
        shop.act(receipts.confirm_receipt, order, None, NOW)
        # The second one is paid by a transfer, whose id has no number of a part.
        if number != 1:
            receives(f"19000{number}", name)
    release_due(shop.transaction, TENANT, PAID)
    assert sorted(pay_out(batch, party_types=["supplier"]).values()) == [500, 501, 502]
    ids = shop.sql("select payout_id from settlement.payout where batch_id = %(b)s", b=batch)
    assert len(set(ids)) == 3
    assert max(len(one) for (one,) in ids) <= 128
    run()
    assert (got(till, "190000"), got(till, "190002")) == (500, 502)


def test_a_payment_that_is_matched_later_is_held_all_the_same(shop, till, run, free):
    assert till.pay("m1", PRICE, payment_id="pay-m1", paid_at=NOW)[0] == 200
    assert free() == 0
    shop.place("m1", ("sku", 1))
    shop.act(match_misfit, misfit_of(shop, "pay-m1").misfit_id, "m1", "fits", "op", PAID)
    assert free() == 0
    unfreeze_due(shop.transaction, TENANT, NOW + 25 * DAY)
    run(at=NOW + 25 * DAY)
    assert till.bank.frozen_cents == 0
    assert free(NOW + 25 * DAY) == PRICE - 6


def test_what_was_paid_too_much_is_held_with_the_rest(shop, till, free):
    shop.place("l1", ("sku", 1))
    assert till.pay("l1", PRICE + 200, payment_id="pay-l1", paid_at=NOW)[0] == 200
    assert till.bank.frozen_cents == PRICE + 200
    assert free() == 0


def test_what_netting_took_does_not_keep_a_payment_frozen(shop, till, sold, pay_out, run, refund):
    """S1 owes 2.40 of n1, which n2's release pays: 3.60 are left to split of n2, and then it is freed."""
    sold("n1")
    pay_out("n1", party_types=["supplier"])
    run()
    returned = f"{payout_of(shop, 'n1')}:return:0"
    till.bank.faults.failing.add(reference_of(TENANT, "split_return", returned))
    refund("n1", 400)
    run(1)
    sold("n2")
    assert pay_out("n2")["S1", "n2"] == SUPPLY - 240
    run(10)
    run(20)
    assert asked(shop, till)["unfreeze", "n2"] == ("done", PRICE)
    assert till.bank.frozen_cents == 0


def test_a_word_that_comes_too_late_changes_nothing(shop, till, sold, pay_out, run):
    """Two workers asked; the slower one hears no after the faster one heard that it is done."""
    sold("w1")
    pay_out("w1", party_types=["supplier"])
    run()
    reference = reference_of(TENANT, "split", payout_of(shop, "w1"))
    before = shop.balances()
    for progress in (Progress.FAILED, Progress.RETURNED):
        late = SplitFact(SplitKind.SPLIT, reference, SUPPLY, progress, PAID + DAY, "busy")
        shop.act(take_progress, till.channel_id, late, PAID + DAY)
    assert states(shop, "w1") == {"w1": "paid"}
    assert shop.moved(before) == {}


def test_a_part_that_is_done_after_all_is_charged_to_its_party_and_no_difference_of_the_bill(
    shop, till, sold, pay_out, run
):
    """The channel said no to one worker and yes to another: the party has 6.00 twice, and gives one back."""
    sold("x1")
    pay_out("x1", party_types=["supplier"])
    reference = reference_of(TENANT, "split", payout_of(shop, "x1"))
    till.bank.faults.failing.add(reference)
    run()
    till.bank.faults.failing.clear()
    till.bank.split(SplitWanted(reference, "pay-x1", "190001", SUPPLY, "x"))
    done = SplitFact(SplitKind.SPLIT, reference, SUPPLY, Progress.DONE, PAID)
    with shop.transaction() as conn:
        note_fact(conn, TENANT, till.channel_id, "answer", done)
        assert take_progress(conn, TENANT, till.channel_id, done, PAID)
    with shop.transaction() as conn:
        bill = Bill("x1", "simulated", PAID - DAY / 2, PAID + DAY / 2, till.channel_id)
        lines = [one for one in till.bank.bill(PAID.date()) if one.kind != "payment"]
        load_bill(conn, TENANT, bill, as_csv(lines))
        assert reconcile(conn, TENANT, bill_id="x1", run_id="x1", as_of=PAID + DAY).breaks == {}
    before = shop.balances()
    charge = Resolution(Act.CHARGE_PARTY, "paid twice", "op", S1)
    shop.act(resolve_misfit, misfit_of(shop, reference).misfit_id, charge, PAID)
    assert shop.moved(before) == {
        ("supplier_available", "S1"): -SUPPLY,
        ("reconciliation_suspense", ""): SUPPLY,
    }


def test_a_worker_that_dies_with_the_answer_in_its_hand(shop, till, sold, pay_out, run, refund, settings):
    """The channel split, paid, gave a part back or freed, and nobody noted it: asked again, it is once."""
    sold("k1")
    pay_out("k1", most={S1: SUPPLY, M1: 100})

    class Died(BaseException):
        pass

    class Dies:
        def __init__(self, account):
            self._adapter = SimulatedAdapter(account)

        def __getattr__(self, name):
            def call(*arguments):
                answer = getattr(self._adapter, name)(*arguments)
                if name == "add_receiver" or name.startswith("query"):
                    return answer
                raise Died

            return call

    wall = shop.sql("select clock_timestamp()")[0][0]

    def work(first, last):
        for number in range(first, last):
            later = wall + timedelta(minutes=10 * number)
            with suppress(Died):
                send_due(shop.operations, Vault.of(settings), TENANT, PAID, later, adapters=Dies)
            run(10 * number + 5)

    work(0, 4)
    assert till.bank.received == {"190001": SUPPLY}
    assert states(shop, "k1") == {"k1": "paid", "m1": "paid"}
    assert till.bank.balance_cents == PRICE - SUPPLY - 100
    refund("k1", 400)
    work(4, 8)
    assert till.bank.received == {"190001": SUPPLY - 240}
    assert till.bank.balance_cents == PRICE - SUPPLY - 100 - 400 + 240
    assert {state for state, _ in asked(shop, till).values()} == {"done"}


def test_a_transfer_that_may_be_done_is_asked_about_before_it_is_asked_for_again(
    shop, till, sold, pay_out, run, call
):
    """Done and not said; the payee's account was changed: the channel would refuse the same for another."""
    sold("h1")
    unfreeze_due(shop.transaction, TENANT, NOW + 25 * DAY)
    run()
    pay_out("h1", most={S1: SUPPLY})
    till.bank.faults.silent = 1
    run(1)
    assert states(shop, "h1") == {"S1": "in_transit"}
    assert till.bank.balance_cents == PRICE - SUPPLY
    body = {"party_type": "supplier", "party_id": "S1", "account": "another"}
    assert call("op", "PUT", f"/channels/{till.channel_id}/payees", body).status_code == 204
    run(10)
    assert states(shop, "h1") == {"S1": "paid"}
    assert till.bank.balance_cents == PRICE - SUPPLY


def test_a_receiver_that_cannot_be_told_stops_nobody_else(shop, till, sold, pay_out, run, settings):
    """A name that the channel's key cannot take: its parts wait and say why, and all else is asked for."""
    sold("y1")
    pay_out("y1", most={S1: SUPPLY, M1: 100})

    class NoName(SimulatedAdapter):
        def add_receiver(self, wanted):
            raise ChannelKeyError("the name is too long to be encrypted for the channel")

    wall = shop.sql("select clock_timestamp()")[0][0]
    sent = send_due(shop.operations, Vault.of(settings), TENANT, PAID, wall, adapters=NoName)
    assert sent.waiting == 2
    answers = shop.sql("select last_answer from channels.request where order_id = 'y1'")
    assert answers == [("the name is too long to be encrypted for the channel",)]
    run(10)
    assert states(shop, "y1")["y1"] == "paid"


def test_a_channel_that_frees_nothing_frees_by_itself_after_thirty_days(shop, till, sold, pay_out, run, free):
    sold("t1")
    pay_out("t1", most={S1: SUPPLY, M1: 100})
    till.bank.faults.failing.add(reference_of(TENANT, "unfreeze", "pay-t1"))
    for minutes in (0, 10, 60):
        run(minutes)
    assert asked(shop, till)["unfreeze", "t1"] == ("failed", PRICE)
    freed = NOW + 30 * DAY
    assert free(freed - timedelta(seconds=1)) == 0
    # 10.00 less 6.00 that were split and a fee of 0.06.
    assert free(freed) == PRICE - SUPPLY - 6
    till.bank.clock = lambda: freed
    run(1000, at=freed)
    assert states(shop, "t1") == {"t1": "paid", "m1": "paid"}


def test_nobody_is_told_as_a_receiver_of_somebody_elses_channel(till, client, module_database_url):
    scopes = sorted(ROLE_SCOPES[Role.OPERATOR])
    other = issue_key(module_database_url, name="x", role=Role.OPERATOR, tenant_id="other", scopes=scopes)
    body = {"party_type": "supplier", "party_id": "S1", "account": "666", "name": "x"}
    path = f"/v1/channels/{till.channel_id}/receivers"
    assert client.put(path, json=body, headers={"X-API-Key": other.secret}).status_code == 404


def test_the_account_ends_between_a_pay_out_and_its_request(
    shop, till, sold, pay_out, run, call, client, module_database_url
):
    """Parts wait for their own account; what is paid meanwhile goes by transfer through another one."""
    sold("v1", "v2")
    assert pay_out("v1", most={S1: SUPPLY}) == {("S1", "v1"): SUPPLY}
    query = "select public_keys from channels.account where channel_id = %(c)s"
    ((keys,),) = shop.sql(query, c=till.channel_id)
    body = {"fee_bps": 60, "public_keys": keys}
    ended = body | {"is_active": False}
    with till_with_server(client, module_database_url, split_max_bps=7000, clock=lambda: PAID) as other:
        assert call("op", "PUT", f"/channels/{till.channel_id}", ended).status_code == 200
        assert pay_out("v2", party_types=["supplier"]) == {("S1", None): SUPPLY}
        run()
        assert till.bank.received == other.bank.received == {}
        assert call("op", "PUT", f"/channels/{till.channel_id}", body).status_code == 200
        run(10)
        assert states(shop, "v1") == {"v1": "paid"}
        assert till.bank.received == {"190001": SUPPLY}
        assert other.bank.received == {}
        shop.sql("update channels.account set is_active = false")


def test_all_at_once(shop, till, sold, run, refund, settings):
    """Batches, refunds, releases, rounds of the job and new receivers: nobody waits in a circle."""
    names = [f"q{number}" for number in range(12)]
    sold(*names, released=False)

    def prepare(number):
        shop.act(prepare_payouts, f"q-{number}", "simulated", PAID)

    def give_back(number):
        refund(names[number], (400, PRICE)[number % 2])

    def release(_):
        release_due(shop.transaction, TENANT, PAID)

    def receive(number):
        with shop.transaction() as conn:
            vault, account = Vault.of(settings), f"19{number}"
            put_receiver(conn, vault, TENANT, till.channel_id, tuple(S1), account, "x")

    def deadline(_):
        unfreeze_due(shop.transaction, TENANT, NOW + 25 * DAY)

    work = [(one, number) for number in range(12) for one in (prepare, give_back, release, receive, run)]
    work += [(deadline, number) for number in range(2)]
    random.Random(7).shuffle(work)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(*one) for one in work]:
            done.result()
    for minutes in (100, 500, 1000):
        run(minutes)
    shop.act(prepare_payouts, "q-last", "simulated", PAID)
    for minutes in (1500, 2000, 2500):
        run(minutes)
    said = dict(
        shop.sql(
            "select kind, sum(amount_cents)::bigint from channels.request where channel_id = %(c)s"
            " and kind in ('split', 'split_return') and state = 'done' group by 1",
            c=till.channel_id,
        )
    )
    assert sum(till.bank.received.values()) == said.get("split", 0) - said.get("split_return", 0)
