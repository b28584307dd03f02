"""Purchase orders: suggestions become orders at suppliers, who answer and ship; what arrives is stock."""
