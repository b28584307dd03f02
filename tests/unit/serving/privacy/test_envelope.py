import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import PrivacyError
from serving.privacy import envelope
from serving.privacy.envelope import DataKey, MasterKey, Place

MASTER = MasterKey(bytes(range(32)))
KEY = DataKey("shop", b"\x07" * 8, bytes(range(100, 132)))
PLACE = Place("shop", "orders.recipient", "phone_enc", "o-1")


def only(key):
    """A key ring with one key."""

    def find(key_id):
        assert key_id == key.key_id
        return key

    return find


@given(st.text())
def test_what_is_sealed_opens_at_its_place(text):
    sealed = envelope.seal(KEY, text, PLACE)
    assert len(sealed) == len(text.encode()) + 37
    assert envelope.sealed_by(sealed) == KEY.key_id
    assert envelope.open_sealed(only(KEY), sealed, PLACE) == text


def test_the_form_of_a_sealed_value_by_the_primitive_alone():
    sealed = envelope.seal(KEY, "13800001234", PLACE)
    parts = [b"shop", b"orders.recipient", b"phone_enc", b"o-1"]
    aad = sealed[:9] + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert sealed[:9] == b"\x01" + KEY.key_id
    assert AESGCM(KEY.secret).decrypt(sealed[9:21], sealed[21:], aad) == b"13800001234"


def test_every_flipped_bit_of_a_sealed_value_is_noticed():
    sealed = envelope.seal(KEY, "王小明", PLACE)

    def any_key(key_id):
        return KEY

    for position in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[position] ^= 1 << bit
            with pytest.raises(PrivacyError) as failure:
                envelope.open_sealed(any_key, bytes(changed), PLACE)
            assert "王" not in str(failure.value)


@pytest.mark.parametrize("length", [0, 1, 9, 20, 36])
def test_a_cut_value_is_noticed(length):
    sealed = envelope.seal(KEY, "", PLACE)
    with pytest.raises(PrivacyError, match="damaged"):
        envelope.open_sealed(only(KEY), sealed[:length], PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("other", "orders.recipient", "phone_enc", "o-1"),
        Place("shop", "orders.recipients", "phone_enc", "o-1"),
        Place("shop", "orders.recipient", "name_enc", "o-1"),
        Place("shop", "orders.recipient", "phone_enc", "o-2"),
        Place("shop", "orders.recipientphone_enc", "", "o-1"),
        Place("shoporders.recipient", "", "phone_enc", "o-1"),
    ],
)
def test_a_moved_value_does_not_open(elsewhere):
    sealed = envelope.seal(KEY, "13800001234", PLACE)
    with pytest.raises(PrivacyError, match="changed or comes from another place"):
        envelope.open_sealed(lambda key_id: KEY, sealed, elsewhere)


def test_equal_values_look_different():
    assert len({envelope.seal(KEY, "same", PLACE) for _ in range(100)}) == 100


def test_a_key_of_another_tenant_does_not_seal():
    with pytest.raises(PrivacyError, match="cannot seal for 'other'"):
        envelope.seal(KEY, "x", Place("other", "t", "c", "r"))


def test_a_value_that_is_no_text_is_refused_without_being_shown():
    with pytest.raises(PrivacyError, match="no valid text") as failure:
        envelope.seal(KEY, "1380000\ud800", PLACE)
    assert "1380000" not in repr(failure.value)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


def test_a_data_key_comes_back_from_its_wrapping():
    wrapped = envelope.wrap(MASTER, KEY)
    assert len(wrapped) == 69
    assert KEY.secret not in wrapped
    assert envelope.unwrap(MASTER, "shop", KEY.key_id, wrapped) == KEY


def test_every_flipped_byte_of_a_wrapped_key_is_noticed():
    wrapped = envelope.wrap(MASTER, KEY)
    for position in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[position] ^= 0x40
        with pytest.raises(PrivacyError):
            envelope.unwrap(MASTER, "shop", KEY.key_id, bytes(changed))


@pytest.mark.parametrize(
    ("master", "tenant", "key_id"),
    [
        (MASTER, "other", KEY.key_id),
        (MASTER, "shop", b"\x08" * 8),
        (envelope.new_master_key(), "shop", KEY.key_id),
    ],
)
def test_a_wrapped_key_belongs_to_its_tenant_id_and_master(master, tenant, key_id):
    with pytest.raises(PrivacyError):
        envelope.unwrap(master, tenant, key_id, envelope.wrap(MASTER, KEY))


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_master_key_has_32_bytes(length):
    with pytest.raises(PrivacyError, match="32 bytes"):
        MasterKey(b"\x00" * length)


def test_keys_are_not_shown():
    shown = f"{MASTER!r} {KEY!r}"
    assert MASTER.secret.hex() not in shown
    assert repr(MASTER.secret)[2:-1] not in shown
    assert repr(KEY.secret)[2:-1] not in shown


def test_a_blind_index_is_a_keyed_hash_of_its_place():
    found = envelope.blind_index(KEY, "13800001234", table="t", column="c")
    message = b"".join(len(part).to_bytes(4, "big") + part for part in (b"shop", b"t", b"c", b"13800001234"))
    assert found == hmac.new(KEY.secret, message, hashlib.sha256).digest()
    another = DataKey("shop", KEY.key_id, MASTER.secret)
    others = {
        envelope.blind_index(KEY, "13800001235", table="t", column="c"),
        envelope.blind_index(KEY, "13800001234", table="t", column="d"),
        envelope.blind_index(another, "13800001234", table="t", column="c"),
    }
    assert len(others | {found}) == 4
