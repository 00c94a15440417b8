//! Measures how fast one core reads segment files: `index_rate SEGMENT...`, in the order of the log.
//!
//! Prints the rate of checking and counting (what `pg_waldump --stats` does) and that of the whole transaction index.
//! Stops where the written log ends. With `--stats` before the files it prints the statistics instead.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::error::Error;
use std::fs;

use postgres_wal::{
    IndexEvent, IndexLimits, Lsn, PageHeader, Record, RecordStream, Statistics, TransactionIndex, WalError,
};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let show = files.first().is_some_and(|first| first == "--stats");
    if show {
        files.remove(0);
    }
    let segments = files.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
    let bytes: usize = segments.iter().map(Vec::len).sum();
    let major = PageHeader::read(segments.first().ok_or("name segment files")?)?.major;

    let mut statistics = Statistics::new(major);
    let before = cpu_seconds();
    let end = read(&segments, |record| {
        statistics.add(record);
        Ok(())
    })?;
    let counting = cpu_seconds() - before;
    if show {
        for row in statistics.by_record() {
            let totals = row.totals;
            println!("{}\t{}\t{}\t{}", row.name, totals.count, totals.record_bytes, totals.image_bytes);
        }
        return Ok(());
    }

    let mut index = TransactionIndex::new(IndexLimits::default());
    let mut commits = 0_u64;
    let before = cpu_seconds();
    read(&segments, |record| {
        if let Some(IndexEvent::Committed(_)) = index.apply(record)? {
            commits += 1;
        }
        Ok(())
    })?;
    let indexing = cpu_seconds() - before;
    let megabytes = bytes as f64 / 1e6;
    let total = statistics.total();
    println!(
        "PostgreSQL {major}: {megabytes:.0} MB, {} records, {commits} commits, up to {end}",
        total.count
    );
    println!("statistics: {counting:.3} CPU s, {:.0} MB/s", megabytes / counting);
    println!("index:      {indexing:.3} CPU s, {:.0} MB/s", megabytes / indexing);
    Ok(())
}

fn read(
    segments: &[Vec<u8>],
    mut visit: impl FnMut(&Record<'_>) -> Result<(), WalError>,
) -> Result<Lsn, Failure> {
    let first = PageHeader::read(segments.first().ok_or("name segment files")?)?;
    let size = first.segment.ok_or("the first file is no segment")?.segment_size;
    let mut stream = RecordStream::new(first.major, size, first.address);
    for segment in segments {
        // As a replication stream hands the log in: by 128 kB.
        for portion in segment.chunks(128 << 10) {
            stream.push(stream.expected(), portion)?;
            loop {
                match stream.next_record() {
                    Ok(Some(record)) => visit(&record)?,
                    Ok(None) => break,
                    Err(error) if error.is_end_of_written_log() => return Ok(error.lsn()),
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
    Ok(stream.expected())
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
