//! A run: the leaves of a stretch of the log, sorted, in a file that never changes. Byte by byte:
//!
//! ```text
//! -   pages of records, sorted by leaf: see `page`
//! -   the directory: see `directory`
//! 16  "kiln-dedup-run/1"
//! 8   the index of the first leaf of the stretch
//! 8   size of the tree that ends with its last leaf    32  its root hash
//! 8   number of records; fewer than leaves where the log had some of them before
//! 8   XXH3 of the directory
//! 8   XXH3 of the 80 bytes before
//! ```
//!
//! Numbers are little-endian. The file is named by the stretch, `<first>-<end>.run`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use kiln_tiles::{Hash, TreeHead};
use xxhash_rust::xxh3::xxh3_64;

use super::directory::{self, Builder, Directory, Probe};
use super::fault::Fault;
use super::page::{self, PAGE, Page, Record};

/// Which leaves are in a run: those that the tree `covered` has from `first` on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stretch {
    pub(super) first: u64,
    pub(super) covered: TreeHead,
}

impl Stretch {
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}-{}.run", self.first, self.covered.size()))
    }
}

const MAGIC: &[u8; 16] = b"kiln-dedup-run/1";

const FOOTER: usize = 16 + 8 + 8 + Hash::SIZE + 8 + 8 + 8;

struct Footer {
    stretch: Stretch,
    records: u64,
    directory: u64, // its checksum
}

impl Footer {
    fn to_bytes(&self) -> Vec<u8> {
        let Stretch { first, covered } = self.stretch;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&covered.size().to_le_bytes());
        bytes.extend_from_slice(covered.root().as_bytes());
        bytes.extend_from_slice(&self.records.to_le_bytes());
        bytes.extend_from_slice(&self.directory.to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    fn parse(bytes: &[u8; FOOTER]) -> Result<Self, Fault> {
        let word = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("it is in the footer"));
        if xxh3_64(&bytes[..FOOTER - 8]) != word(FOOTER - 8) {
            return Err(Fault::Checksum);
        }
        let root = Hash::from_bytes(*bytes[32..].first_chunk().expect("it is in the footer"));
        let covered = TreeHead::new(word(24), root).ok_or(Fault::Absurd)?;
        let footer =
            Self { stretch: Stretch { first: word(16), covered }, records: word(64), directory: word(72) };
        if footer.adds_up() && bytes.starts_with(MAGIC) { Ok(footer) } else { Err(Fault::Absurd) }
    }

    const fn adds_up(&self) -> bool {
        let Stretch { first, covered } = &self.stretch;
        first.saturating_add(self.records) <= covered.size()
    }

    /// How long the file is, and where in it the directory begins.
    const fn length(&self) -> (u64, u64) {
        let pages = page::pages(self.records) * PAGE as u64;
        (pages + directory::length(self.records) + FOOTER as u64, pages)
    }
}

/// A run that is there, with its directory in memory.
#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
    file: File,
    stretch: Stretch,
    directory: Directory,
}

impl Run {
    /// Opens the run of this file. The records are not looked at: that is done where one is read.
    pub(super) fn open(path: PathBuf) -> Result<Self, Fault> {
        let mut file = File::open(&path)?;
        let length = file.metadata()?.len();
        let mut bytes = [0; FOOTER];
        file.seek(SeekFrom::Start(length.checked_sub(FOOTER as u64).ok_or(Fault::Absurd)?))?;
        file.read_exact(&mut bytes)?;
        let footer = Footer::parse(&bytes)?;
        let (expected, start) = footer.length();
        if length != expected {
            return Err(Fault::Absurd);
        }
        file.seek(SeekFrom::Start(start))?;
        let mut reader = BufReader::with_capacity(64 * PAGE, &file);
        let directory = Directory::read(&mut reader, footer.records, footer.directory)?;
        Ok(Self { path, stretch: footer.stretch, directory, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn stretch(&self) -> Stretch {
        self.stretch
    }

    /// The number of records.
    pub(super) const fn records(&self) -> u64 {
        self.directory.records()
    }

    /// The index of a leaf, if this run has it, and its probe.
    pub(super) fn find(&mut self, leaf: &Hash, probe: &Probe) -> Result<Option<u64>, Fault> {
        match self.directory.find(probe) {
            Some(positions) if !positions.is_empty() => {
                let (first, last) = (positions.start, positions.end - 1);
                self.search(leaf, first / page::RECORDS as u64, last / page::RECORDS as u64)
            }
            _ => Ok(None),
        }
    }

    /// Searches the pages from `first` to `last`, mostly one or two. That they are many somebody must have taken
    /// pains for: leaves alike.
    fn search(&mut self, leaf: &Hash, mut first: u64, mut last: u64) -> Result<Option<u64>, Fault> {
        while first < last {
            let middle = last - (last - first) / 2;
            if self.page(middle)?.record(0).leaf <= *leaf { first = middle } else { last = middle - 1 }
        }
        Ok(self.page(first)?.find(leaf, page::on_page(first, self.records())))
    }

    fn page(&mut self, number: u64) -> Result<Page, Fault> {
        let mut page = Page::empty();
        self.file.seek(SeekFrom::Start(number * PAGE as u64))?;
        self.file.read_exact(page.bytes_mut())?;
        page.verify(number)?;
        Ok(page)
    }
}

/// Reads all records of a run, in the order of their leaves.
#[derive(Debug)]
pub(super) struct Records {
    reader: BufReader<File>,
    page: Page,
    next: u64,
    records: u64,
}

impl Records {
    /// Reads a run that is open elsewhere.
    pub(super) fn of(run: &Run) -> Result<Self, Fault> {
        let reader = BufReader::with_capacity(64 * PAGE, File::open(run.path())?);
        Ok(Self { reader, page: Page::empty(), next: 0, records: run.records() })
    }

    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Fault> {
        if self.next == self.records {
            return Ok(None);
        }
        let (number, position) = (self.next / page::RECORDS as u64, self.next % page::RECORDS as u64);
        if position == 0 {
            self.reader.read_exact(self.page.bytes_mut())?;
            self.page.verify(number)?;
        }
        self.next += 1;
        Ok(Some(self.page.record(usize::try_from(position).expect("it is on the page"))))
    }
}

/// Writes a run. It has its name once it is whole.
#[derive(Debug)]
pub(super) struct RunWriter {
    stretch: Stretch,
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    page: Page,
    written: u64,
    last: Option<Hash>,
    builder: Builder,
    records: u64,
    synced: bool,
}

impl RunWriter {
    /// Begins the run of a stretch, which has so many records.
    pub(super) fn create(folder: &Path, stretch: Stretch, records: u64) -> Result<Self, Fault> {
        let path = stretch.path(folder);
        let temporary = path.with_extension("new");
        let file = BufWriter::with_capacity(
            64 * PAGE,
            File::options().read(true).write(true).create(true).truncate(true).open(&temporary)?,
        );
        let (page, builder) = (Page::empty(), Builder::new(records));
        Ok(Self {
            stretch,
            path,
            temporary,
            file,
            page,
            written: 0,
            last: None,
            builder,
            records,
            synced: false,
        })
    }

    /// Writes the next record: its leaf comes after the one before.
    pub(super) fn push(&mut self, record: Record) -> Result<(), Fault> {
        if self.last.replace(record.leaf) >= Some(record.leaf) || self.written == self.records {
            return Err(Fault::Absurd);
        }
        self.builder.push(&record.leaf, self.written);
        self.page.set(self.on_page(), record);
        self.written += 1;
        if self.on_page() == 0 { self.end_page() } else { Ok(()) }
    }

    /// How many records the page that is being filled has.
    fn on_page(&self) -> usize {
        usize::try_from(self.written % page::RECORDS as u64).expect("fewer than a page has")
    }

    fn end_page(&mut self) -> Result<(), Fault> {
        let mut page = std::mem::replace(&mut self.page, Page::empty());
        page.seal(page::pages(self.written) - 1);
        Ok(self.file.write_all(page.bytes())?)
    }

    /// Makes durable what is written so far.
    pub(super) fn sync(&mut self) -> Result<(), Fault> {
        self.file.flush()?;
        self.synced = true;
        Ok(self.file.get_ref().sync_data()?)
    }

    /// Writes what follows the records. It is durable if they were synced.
    pub(super) fn finish(mut self) -> Result<Run, Fault> {
        if self.written != self.records {
            return Err(Fault::Absurd);
        }
        if self.on_page() > 0 {
            self.end_page()?;
        }
        let directory = self.builder.finish();
        let checksum = directory.write(&mut self.file)?;
        let footer = Footer { stretch: self.stretch, records: self.records, directory: checksum };
        self.file.write_all(&footer.to_bytes())?;
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        if self.synced {
            file.sync_data()?;
        }
        std::fs::rename(&self.temporary, &self.path)?;
        Ok(Run { path: self.path, file, stretch: self.stretch, directory })
    }
}
