"""WeChat Pay APIv3: signatures, encrypted resources, payments, refunds, transfers, profit sharing, bills.

Source: pay.weixin.qq.com, APIv3 (signing, callbacks, refund/domestic, fund-app/mch-transfer, profitsharing,
bill/tradebill).
"""
