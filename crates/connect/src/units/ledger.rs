/// What one unit listed and what became of it since it last said how far it came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct UnitLedger {
    listed: Option<u64>,
    accounted: u64,
}

impl UnitLedger {
    pub(super) fn list(&mut self, count: u64) {
        *self.listed.get_or_insert(0) += count;
    }

    pub(super) const fn account(&mut self, count: u64) {
        self.accounted += count;
    }

    /// Begins anew, or says by how much it does not balance: listed, accounted for. Items that came without a listing,
    /// from a change feed, need none.
    pub(super) fn close(&mut self) -> Result<(), (u64, u64)> {
        let ledger = std::mem::take(self);
        match ledger.listed {
            Some(listed) if listed != ledger.accounted => Err((listed, ledger.accounted)),
            _ => Ok(()),
        }
    }
}
