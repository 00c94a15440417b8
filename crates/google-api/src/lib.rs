//! Google's APIs as reader and writer of a Workspace domain call them.
