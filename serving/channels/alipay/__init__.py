"""Alipay's open platform with RSA2: notices as forms, requests to one gateway, signed answers.

Source: opendocs.alipay.com (signing and verifying, asynchronous notices, alipay.trade.*, alipay.fund.trans.*,
alipay.data.dataservice.bill.downloadurl.query).
"""
