"""What a user says about her own files in `muyun.yaml`, and how it is done to them. No rule on rows here."""
