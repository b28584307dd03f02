"""Coupons: programmes with budget and consenting funders, issued codes, redemption at placing."""
