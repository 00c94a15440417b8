mod pages;
mod world;
