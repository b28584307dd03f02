"""Orders: placing, routing, stock, state machines, after-sale, webhooks. HTTP lives in `serving.api`."""
