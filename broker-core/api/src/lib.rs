//! What a plugin author sees: the traits, their types and the seam to the world.
