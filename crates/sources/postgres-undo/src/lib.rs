//! Plans and applies the undo of transactions, tables and rows in a production database.
