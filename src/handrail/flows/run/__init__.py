"""How a plan is carried out: what apply, resume and rollback share."""
