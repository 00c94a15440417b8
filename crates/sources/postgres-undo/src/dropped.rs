//! Dropped objects.

use std::collections::BTreeSet;

use postgres_wal::RowChange;

use crate::{error::PlanningError, planner::Planning, shape::read_shapes};

/// Lists dropped tables as losses.
pub(crate) fn plan(
    planning: &mut Planning<'_>,
    tables: &BTreeSet<u32>,
    _rows: &[RowChange],
) -> Result<(), PlanningError> {
    for shape in read_shapes(&mut planning.scratch, tables)?.into_values() {
        let target = planning.target(&shape.name);
        planning.lose(target, "the table was dropped");
    }
    Ok(())
}
