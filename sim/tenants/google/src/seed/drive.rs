//! Drives: what people keep in them, and what makes it hard to copy.

use std::sync::Arc;

use model::Moment;

use super::{
    drive_names::{self, FOLDERS},
    names::{nth, pick},
};
use crate::{
    drive::{
        Blob, Comment, CommentReply, Content, Document, File, Grantee, Id, Kind, Look, Permission, Revision,
        Role, guessed,
    },
    tenant::Tenant,
    text,
};

const DAY_MICROS: i64 = 86_400_000_000;
const FILES: u64 = 40;
const DRIVES: u64 = 41;
/// Smaller drives than this have nothing special in them.
const SPECIAL_FROM: u32 = 20;
/// How deep the deepest folder of the domain is.
const DEPTH: u64 = 400;
/// A text of a thousand lines, so many times, is larger than may be exported.
const TIMES_TOO_MANY: u64 = 200;

/// Somebody who keeps files.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) id: Id,
    pub(super) email: String,
    since: Moment,
}

/// Where files are being put.
struct Place<'a> {
    tenant: &'a mut Tenant,
    owner: Person,
    people: &'a [Person],
    /// The shared drive; none for My Drive.
    drive: Option<Id>,
    key: u64,
    count: u64,
}

/// Makes the files of all people, and two shared drives.
pub(super) fn furnish(tenant: &mut Tenant) {
    let people: Vec<Person> = tenant
        .users()
        .iter()
        .map(|user| Person {
            id: Arc::clone(&user.id),
            email: user.primary_email.clone(),
            since: user.created,
        })
        .collect();
    let administrator = tenant.administrator().map(str::to_owned);
    let seed = tenant.settings.seed;
    let files = tenant.settings.size.files;
    for (number, owner) in people.iter().enumerate() {
        let root = tenant.drive.tree.root(&owner.id, owner.since);
        let key = nth(seed, FILES, number as u64);
        let mut place = Place { tenant, owner: owner.clone(), people: &people, drive: None, key, count: 0 };
        place.fill(&root, u64::from(files));
        if files >= SPECIAL_FROM && administrator.as_deref() == Some(&owner.email) {
            place.special(&root);
        }
    }
    if files > 0 {
        shared_drives(tenant, &people, administrator.as_deref());
    }
}

fn shared_drives(tenant: &mut Tenant, people: &[Person], administrator: Option<&str>) {
    let Some(head) = people.iter().find(|person| Some(person.email.as_str()) == administrator) else {
        return;
    };
    let (seed, anchor) = (tenant.settings.seed, tenant.anchor);
    let domain = tenant.settings.domain.clone();
    for (number, name) in ["Engineering", "Finance & Legal"].into_iter().enumerate() {
        let number = number as u64;
        let key = nth(seed, DRIVES, number);
        let created = anchor.plus_micros(-300 * DAY_MICROS);
        let member = |person: &Person, role| {
            Permission::new(
                Grantee::User(person.email.clone(), Some(Arc::clone(&person.id))),
                role,
                &head.id,
                created,
            )
        };
        let mut members = vec![member(head, Role::Organizer)];
        let others = people.iter().filter(|person| person.id != head.id);
        let roles = [Role::FileOrganizer, Role::Writer, Role::Reader];
        for (at, person) in others.skip(number as usize).step_by(2).enumerate() {
            members.push(member(person, roles[at % roles.len()]));
        }
        let group = Grantee::Group(format!("sales@{domain}"));
        members.push(Permission::new(group, Role::Commenter, &head.id, created));
        let id = tenant.drive.tree.ids.top(key);
        tenant.add_shared_drive(&id, name, members, &head.id, created);
        let files = u64::from(tenant.settings.size.files).div_ceil(2);
        let mut place =
            Place { tenant, owner: head.clone(), people, drive: Some(Arc::clone(&id)), key, count: 0 };
        place.fill(&id, files);
    }
}

impl Place<'_> {
    fn drawn(&self, what: u64) -> u64 {
        text::mixed(self.key ^ text::mixed(what ^ (self.count << 8)))
    }

    /// Returns a time between the owner's first day and the start of the simulation.
    fn time(&self, what: u64) -> Moment {
        let anchor = self.tenant.anchor;
        let span = anchor.micros_since(self.owner.since).max(2) as u64;
        anchor.plus_micros(-((self.drawn(what) % span).max(1) as i64))
    }

    fn add(&mut self, parent: &Id, name: &str, kind: Kind, act: impl FnOnce(&Self, &mut File)) -> Id {
        self.count += 1;
        let number = self.tenant.drive.tree.next_number();
        let id = self.tenant.drive.tree.ids.file(number, kind);
        let created = self.time(1);
        let mut file = File::new(id, name, kind, &self.owner.id, created);
        file.parent = Some(Arc::clone(parent));
        file.drive.clone_from(&self.drive);
        let later = self.tenant.anchor.micros_since(created).max(2) as u64;
        file.modified = created.plus_micros((self.drawn(2) % later) as i64);
        if self.drive.is_none() {
            let owner = Grantee::User(self.owner.email.clone(), Some(Arc::clone(&self.owner.id)));
            file.permissions.push(Permission::new(owner, Role::Owner, &self.owner.id, created));
        }
        act(self, &mut file);
        if let Some((at, _)) = &file.trashed {
            self.tenant.drive.trash.insert((*at, Arc::clone(&file.id)));
        }
        self.tenant.drive.tree.add(file)
    }

    fn folder(&mut self, parent: &Id, name: &str) -> Id {
        self.add(parent, name, Kind::Folder, |place, file| {
            if place.drawn(3).is_multiple_of(5) {
                file.traits.colour = Some("#16a765".to_owned());
            }
            place.share(file);
        })
    }

    /// Puts so many folders and files into a folder.
    fn fill(&mut self, root: &Id, files: u64) {
        let mut folders = vec![Arc::clone(root)];
        let wanted = files / 6;
        for at in 0..wanted {
            let parent = Arc::clone(&folders[(self.drawn(4) % folders.len() as u64) as usize]);
            let name = drive_names::odd(self.drawn(5))
                .unwrap_or_else(|| FOLDERS[at as usize % FOLDERS.len()].to_owned());
            folders.push(self.folder(&parent, &name));
        }
        let mut targets: Vec<(Id, String, String)> = Vec::new();
        for _ in wanted..files {
            let folder = Arc::clone(pick_from(&folders, self.drawn(6)));
            let id = match self.drawn(7) % 100 {
                0..32 => self.document(&folder, Kind::Document),
                32..46 => self.document(&folder, Kind::Spreadsheet),
                46..54 => self.document(&folder, Kind::Presentation),
                54..57 => self.document(&folder, Kind::Drawing),
                57..60 => self.document(&folder, Kind::Form),
                60..62 => self.document(&folder, Kind::Script),
                62 => self.document(&folder, Kind::Site),
                63 => self.document(&folder, Kind::Map),
                64..68 if !targets.is_empty() => {
                    self.shortcut(&folder, pick_from(&targets, self.drawn(8)).clone())
                }
                _ => self.binary(&folder),
            };
            let file = self.tenant.drive.tree.get(&id).filter(|file| file.kind != Kind::Shortcut);
            targets
                .extend(file.map(|file| (Arc::clone(&file.id), file.media_type.clone(), file.name.clone())));
        }
    }

    fn document(&mut self, folder: &Id, kind: Kind) -> Id {
        let name = self.name(kind);
        self.add(folder, &name, kind, |place, file| {
            let count = 1 + place.drawn(10) % 3;
            for revision in 0..count {
                let lines = 3 + place.drawn(11 + revision) % 60;
                let content =
                    Content::Document(Document::Drawn { key: place.drawn(14 + revision), lines, times: 1 });
                let at = file.modified.plus_micros(-((count - 1 - revision) as i64) * 3_600_000_000);
                let id = (1 + revision * 7 + place.drawn(17) % 5).to_string();
                file.revisions.push(Revision::new(
                    id,
                    &file.owner,
                    at.max(file.created),
                    content,
                    &file.media_type,
                ));
            }
            place.finish(file);
        })
    }

    fn binary(&mut self, folder: &Id) -> Id {
        let name = self.name(Kind::Binary);
        self.add(folder, &name, Kind::Binary, |place, file| {
            guessed(&file.name).clone_into(&mut file.media_type);
            file.traits.original_filename = Some(file.name.clone());
            let many = place.drawn(20).is_multiple_of(4);
            let count = if many { 2 + place.drawn(21) % 3 } else { 1 };
            if many {
                // Older content is still there only because newer came within the last thirty days, or is kept.
                file.modified =
                    place.tenant.anchor.plus_micros(-((place.drawn(22) % 9) as i64 + 1) * DAY_MICROS);
                file.created = file.created.min(file.modified.plus_micros(-10 * DAY_MICROS));
            }
            for revision in 0..count {
                let content = place.content(revision, &file.media_type);
                let at = file.modified.plus_micros(-((count - 1 - revision) as i64) * DAY_MICROS);
                let number = place.drawn(23 + revision);
                let id = place.tenant.drive.tree.ids.revision(number);
                let mut made = Revision::new(id, &file.owner, at, content, &file.media_type);
                made.original_filename = Some(file.name.clone());
                made.keep_forever = revision + 1 < count && number.is_multiple_of(3);
                file.revisions.push(made);
            }
            place.finish(file);
        })
    }

    fn content(&self, revision: u64, media_type: &str) -> Content {
        let drawn = self.drawn(30 + revision);
        let length = match drawn % 100 {
            0 => 0,
            1..60 => (1 << 9) + drawn % (1 << (10 + (drawn >> 40) % 7)),
            60..95 => (1 << 14) + drawn % (1 << 18),
            _ => (1 << 19) + drawn % (1 << 21),
        };
        let look = match media_type {
            "application/pdf" => Look::Noise(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
            "image/png" => Look::Noise(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            "image/jpeg" => Look::Noise(b"\xff\xd8\xff\xe0\0\x10JFIF\0"),
            "application/zip" => Look::Noise(b"PK\x03\x04\x14\0\0\0\x08\0"),
            kind if kind.starts_with("text/") || kind.ends_with("sql") || kind.ends_with("json") => {
                Look::Text
            }
            _ => Look::Noise(b""),
        };
        Content::Blob(Blob::drawn(self.drawn(40 + revision), length, look))
    }

    fn shortcut(&mut self, folder: &Id, (target, media_type, name): (Id, String, String)) -> Id {
        self.add(folder, &name, Kind::Shortcut, |_, file| file.target = Some((target, media_type)))
    }

    fn name(&self, kind: Kind) -> String {
        drive_names::odd(self.drawn(50)).map_or_else(
            || drive_names::usual(kind, self.drawn(51)),
            |odd| if kind == Kind::Binary { format!("{odd}.pdf") } else { odd },
        )
    }

    /// What any file may have: readers, comments, a place in the trash.
    fn finish(&self, file: &mut File) {
        self.share(file);
        self.comment(file);
        let drawn = self.drawn(60);
        if drawn.is_multiple_of(15) {
            let days = 1 + (drawn >> 8) % 24;
            let at = self.tenant.anchor.plus_micros(-(days as i64) * DAY_MICROS);
            file.trashed = Some((at.max(file.created), Arc::clone(&file.owner)));
        }
        if (drawn >> 16).is_multiple_of(6) {
            file.traits.starred_by.insert(Arc::clone(&file.owner));
        }
        if (drawn >> 24).is_multiple_of(9) {
            file.traits.description = Some("Reviewed; see the notes of the meeting.".to_owned());
            file.traits.properties.insert("project".to_owned(), format!("P-{}", drawn % 900));
        }
        file.traits.download_refused = (drawn >> 32).is_multiple_of(80);
        file.traits.copy_requires_writer = (drawn >> 40).is_multiple_of(25);
        file.version = 1 + (drawn >> 48) % 400;
    }

    fn share(&self, file: &mut File) {
        let drawn = self.drawn(70);
        let domain = &self.tenant.settings.domain;
        let role = pick(&[Role::Reader, Role::Commenter, Role::Writer], drawn >> 8);
        let grantee = match drawn % 60 {
            0..12 => {
                let person = &self.people[((drawn >> 16) % self.people.len() as u64) as usize];
                if person.id == self.owner.id {
                    return;
                }
                Grantee::User(person.email.clone(), Some(Arc::clone(&person.id)))
            }
            12..16 => Grantee::Group(format!("everybody@{domain}")),
            16..19 => Grantee::Domain(domain.clone()),
            19..21 => Grantee::Anyone,
            21..23 => Grantee::User("partner@example.com".to_owned(), None),
            _ => return,
        };
        file.permissions.push(Permission::new(grantee, role, &file.owner, file.modified));
    }

    fn comment(&self, file: &mut File) {
        let drawn = self.drawn(80);
        if !drawn.is_multiple_of(7) || !file.kind.is_edited() {
            return;
        }
        let ids = self.tenant.drive.tree.ids;
        let replier = &self.people[((drawn >> 8) % self.people.len() as u64) as usize];
        let reply = CommentReply {
            id: ids.comment(drawn ^ 1),
            author: Arc::clone(&replier.id),
            created: file.modified,
            modified: file.modified,
            content: "Done, thank you.".to_owned(),
            deleted: false,
            action: drawn.is_multiple_of(2).then(|| "resolve".to_owned()),
        };
        file.comments.push(Comment {
            id: ids.comment(drawn),
            author: Arc::clone(&file.owner),
            created: file.created,
            modified: file.modified,
            content: "Is this number still right? <see the second table>".to_owned(),
            deleted: false,
            resolved: reply.action.is_some(),
            anchor: None,
            quoted: Some(("text/html".to_owned(), "budget plan".to_owned())),
            replies: vec![reply],
        });
    }

    /// What is hard: deep folders, circles, what is gone, refused, flagged or too large.
    fn special(&mut self, root: &Id) {
        let odd = self.folder(root, "Odd things");
        let mut deep = self.folder(&odd, "Deep");
        for depth in 2..DEPTH {
            deep = self.folder(&deep, &format!("level {depth}"));
        }
        self.binary(&deep);
        for _ in 0..2 {
            self.add(&odd, "Same name.txt", Kind::Binary, |place, file| {
                guessed(&file.name).clone_into(&mut file.media_type);
                place.put_bytes(file, 100 + place.drawn(90) % 100, Look::Text);
            });
        }
        let (left, right) = (self.folder(&odd, "Left"), self.folder(&odd, "Right"));
        let folder = Kind::Folder.media_type();
        self.shortcut(&left, (Arc::clone(&right), folder.clone(), "to the right".to_owned()));
        self.shortcut(&right, (left, folder, "to the left".to_owned()));
        let gone = self.tenant.drive.tree.ids.generated(u64::MAX);
        self.shortcut(&odd, (gone, "application/pdf".to_owned(), "to what is gone".to_owned()));
        self.add(&odd, "Not to be downloaded.pdf", Kind::Binary, |place, file| {
            "application/pdf".clone_into(&mut file.media_type);
            place.put_bytes(file, 5000, Look::Noise(b"%PDF-1.7\n"));
            file.traits.download_refused = true;
        });
        self.add(&odd, "Flagged.zip", Kind::Binary, |place, file| {
            "application/zip".clone_into(&mut file.media_type);
            place.put_bytes(file, 5000, Look::Noise(b"PK\x03\x04"));
            file.traits.abusive = true;
        });
        self.add(&odd, "Locked.txt", Kind::Binary, |place, file| {
            "text/plain".clone_into(&mut file.media_type);
            place.put_bytes(file, 500, Look::Text);
            file.traits.restrictions = vec![serde_json::json!({
                "readOnly": true, "reason": "Final", "type": "globalContentRestriction",
                "restrictionTime": crate::stamp::rfc3339(file.modified),
            })];
        });
        self.add(&odd, "Too large to export", Kind::Document, |place, file| {
            let content = Content::Document(Document::Drawn {
                key: place.drawn(91),
                lines: 1000,
                times: TIMES_TOO_MANY,
            });
            file.revisions.push(Revision::new(
                "1".to_owned(),
                &file.owner,
                file.modified,
                content,
                &file.media_type,
            ));
        });
    }

    fn put_bytes(&self, file: &mut File, length: u64, look: Look) {
        let number = self.drawn(92);
        let content = Content::Blob(Blob::drawn(number, length, look));
        let id = self.tenant.drive.tree.ids.revision(number);
        file.revisions.push(Revision::new(id, &file.owner, file.modified, content, &file.media_type));
    }
}

fn pick_from<T>(list: &[T], drawn: u64) -> &T {
    &list[(drawn % list.len() as u64) as usize]
}
