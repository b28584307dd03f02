"""Where feeds become rows of the data contract: adapters, validation, quarantine. No Dagster here."""
