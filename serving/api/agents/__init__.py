"""Routes of agents: relations, invitations, scenes, conduct."""
