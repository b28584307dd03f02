"""RSA keys, certificates and accounts made at test time, and a wire that answers without a network."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from serving.channels.protocol import Account
from serving.channels.wire import Answer

NOW = datetime(2026, 11, 1, 8, tzinfo=UTC)
API_V3_KEY = "0123456789abcdef0123456789abcdef"


@cache
def rsa_pair(name):
    """(private PEM, public PEM, certificate PEM) of a key of that name."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return private, public, certificate.public_bytes(serialization.Encoding.PEM).decode()


def account(adapter, **more):
    """An account whose channel signs with the key `platform`; ours is `shop`."""
    fields = {
        "tenant_id": "default",
        "channel_id": "ch-1",
        "adapter": adapter,
        "merchant_number": "1900009191",
        "app_id": "wx1",
        "api_url": "https://channel.test",
        "notify_url": "https://shop.test/n",
        "fee_bps": 60,
        "public_keys": {"PLATFORM": rsa_pair("platform")[2]},
        "secrets": {"private_key": rsa_pair("shop")[0], "serial": "SHOP1", "api_v3_key": API_V3_KEY},
    }
    return Account(**(fields | more))


class FakeWire:
    """Answers from a list and remembers what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def call(self, method, url, headers, body):
        self.asked.append((method, url, dict(headers), body))
        answer = self.answers.pop(0)
        return answer if isinstance(answer, Answer) else answer(method, url, headers, body)
