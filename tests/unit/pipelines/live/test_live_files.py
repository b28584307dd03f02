"""New files of the folder join a tick where they only add rows; anything else asks for a full run."""

import pytest
from live_market import BASE

from pipelines.live import files
from pipelines.sources.files.folder import Files

PRODUCTS = "sku_id,title,category_id\nmilk-1,Milk,l1-grocery\n"
ORDERS = (
    "order_id,consumer_id,merchant_id,channel,placed_at,status,coupon_discount_cents,freight_cents\n"
    "{order},c-1,m-1,store,2017-03-30T10:00:00Z,completed,0,0\n"
)
LINES = (
    "order_id,line_no,sku_id,qty,list_price_cents,promo_discount_cents,net_paid_cents\n"
    "{order},1,milk-1,{qty},100,0,100\n"
)
EVENTS = (
    "event_id,consumer_id,session_id,event_type,sku_id,occurred_at\n"
    "{event},c-1,v,view,{sku},2017-03-30T10:00:00Z\n"
)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "feeds"
    for name, text in {
        "products/all.csv": PRODUCTS,
        "orders/march.csv": ORDERS.format(order="o-day-1"),
        "order_lines/march.csv": LINES.format(order="o-day-1", qty=1),
    }.items():
        (path / name).parent.mkdir(parents=True)
        (path / name).write_text(text)
    return path


@pytest.fixture
def look(live, folder):
    """Looks at the folder in a tick of its own, after the generation began with it."""
    with live.open() as connection:
        assert files.begin(connection, Files(folder), Files(folder).fingerprint()) == ""

    def now():
        with live.open() as connection:
            connection.execute("begin")
            news = files.look(connection, Files(folder), as_of=BASE)
            connection.execute("commit")
        return news

    return now


def test_a_folder_as_it_was_has_no_news(look):
    assert look() == files.FileNews()


def test_a_folder_that_is_another_one_than_was_built_asks_for_a_full_run(live, folder):
    with live.open() as connection:
        assert "changed" in files.begin(connection, Files(folder), "another fingerprint")


def test_rows_of_new_files_come_in_once(live, folder, look):
    (folder / "events").mkdir()
    (folder / "events" / "today.csv").write_text(EVENTS.format(event="f-1", sku="milk-1"))
    (folder / "orders" / "april.csv").write_text(ORDERS.format(order="f-o"))
    (folder / "order_lines" / "april.csv").write_text(LINES.format(order="f-o", qty=2))
    news = look()
    assert news.wants_full_run == ""
    assert news.files == ("events/today.csv", "order_lines/april.csv", "orders/april.csv")
    taken, done = live.tick(news.rows)
    assert taken.waiting == 0
    assert done.changed["fct_events"] == 1
    assert live.rows("select units from core.fct_orders where order_id = 'f-o'") == [(2.0,)]
    assert live.rows("select qty, origin from core.fct_order_lines where order_id = 'f-o'") == [
        (2.0, "observed")
    ]
    assert look() == files.FileNews()


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("orders/march.csv", ORDERS.format(order="o-other"), "orders/march.csv is gone or has changed"),
        ("events.csv", EVENTS.format(event="f-1", sku="nothing"), "events.csv: 1 rows are refused"),
        ("merchants.csv", "merchant_id,name\nm-9,Nine\n", "other rows are worked out from merchants"),
        ("order_lines/more.csv", LINES.format(order="o-day-1", qty=3), "rows of order_lines that stand"),
        ("order_lines/more.csv", LINES.format(order="o-day-1", qty=3).replace(",1,m", ",9,m"), "are added"),
    ],
)
def test_what_does_more_than_add_rows_asks_for_a_full_run_and_is_not_taken(folder, look, name, text, why):
    (folder / name).write_text(text)
    news = look()
    assert why in news.wants_full_run
    assert news.rows == {}
    assert look().wants_full_run == news.wants_full_run


def test_a_file_that_is_gone_asks_for_a_full_run(folder, look):
    (folder / "order_lines" / "march.csv").rename(folder / "order_lines" / "other.csv")
    assert "order_lines/march.csv is gone" in look().wants_full_run
