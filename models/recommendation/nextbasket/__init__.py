"""The next basket of anybody's consumers: neighbours, repurchase rhythm and a ranker, under a simple rule."""
