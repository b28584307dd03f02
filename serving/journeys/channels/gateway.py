"""A provider behind HTTP: posts signed JSON, and reads no more than the status of the answer.

200 to 299 is taken; 429 and 500 to 599 are not now; everything else is never. Signature as of webhooks:
`Muyun-Signature: t=<unix seconds>,v1=<HMAC-SHA256 of t.body>`; `Idempotency-Key` names the message.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from dataclasses import dataclass

from serving.journeys.channels.protocol import Answer, Outgoing, UnavailableError
from serving.orders.webhooks import delivery


@dataclass(frozen=True)
class HttpGateway:
    """A provider of one channel.

    Attributes:
        url: Where it is asked.
        secret: Of the signature.
        sender: What posts.
    """

    url: str
    secret: bytes
    sender: delivery.Sender

    def send(self, message: Outgoing) -> Answer:
        """See `Gateway`."""
        body = json.dumps(
            {
                "message_id": str(message.message_id),
                "tenant_id": message.tenant_id,
                "to": message.consumer_id,
                "channel": message.channel,
                "text": message.body,
                "sku_ids": list(message.sku_ids),
            },
            ensure_ascii=False,
        ).encode()
        moment = str(int(time.time()))
        mark = hmac.new(self.secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{message.tenant_id}:{message.message_id}",
            "Muyun-Signature": f"t={moment},v1={mark}",
        }
        try:
            status = self.sender.send(delivery.Message(message.message_id, self.url, headers, body))
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(str(error) or type(error).__name__) from error
        if 200 <= status < 300:
            return Answer("sent")
        if status == 429 or status >= 500:
            raise UnavailableError(f"the provider answers {status}")
        return Answer("refused", f"provider_{status}")
