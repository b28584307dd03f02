"""Routes of orders: assortment, placing, fulfilment, after-sale, coupons, webhooks."""
