//! `unwipe keys`

use std::path::Path;

use model::{Moment, SourceName};
use serde::Serialize;
use service::{Installation, Secrets, keys, operations};
use vault::{
    RestoreKey, VaultReader,
    keys::{KeyRing, Share, Signer},
    manifest::Recipient,
};

use crate::{
    arguments::{Keys, KeysAction, KeysCaptureAction, KeysDrill, KeysOwner, KeysSplit},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{counted, table},
};

#[derive(Serialize)]
struct Listed {
    changes: u64,
    changed: Moment,
    recipients: Vec<ListedRecipient>,
    signers: Vec<ListedSigner>,
}

#[derive(Serialize)]
struct ListedRecipient {
    #[serde(flatten)]
    recipient: Recipient,
    since: Moment,
    proven: Option<Moment>,
}

#[derive(Serialize)]
struct ListedSigner {
    signer: String,
    source: Option<SourceName>,
    retired: bool,
}

#[derive(Serialize)]
struct Done {
    done: String,
    changes: u64,
}

pub(crate) fn run(context: &Context, options: Keys) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let (clock, random) = (context.clock(), context.ports.random.clone());
    // A new data key for the same recipients takes nothing away.
    let weakens = !matches!(&options.action, KeysAction::Rotate(rotate) if rotate.without.is_empty());
    let done = match options.action {
        KeysAction::List => return list(context, &installation),
        KeysAction::Drill(options) => return drill(context, &installation, &options),
        KeysAction::Split(options) => return split(context, &installation, &options),
        KeysAction::Add(options) => {
            let (name, role) = (Some(options.name.clone()), options.role);
            let recipient = Recipient { role, age: options.recipient, name, since: None };
            open(&installation, &options.owner)?.add(recipient, &*clock).map_err(vault_failure)?;
            format!("{} can open the vault; prove it: unwipe keys drill --key …", options.name)
        }
        KeysAction::Kit(options) => {
            refuse_existing(&options.out)?;
            let kit =
                open(&installation, &options.owner)?.add_kit(options.name, &*clock).map_err(vault_failure)?;
            let page = options.out.extension().is_some_and(|extension| extension == "html");
            let text = if page { kit.render_page(&place(&installation)) } else { kit.render_text() };
            ports::files::create_new(&options.out, text.map_err(key_failure)?.as_bytes(), 0o600)?;
            format!(
                "the new kit opens the vault; it is in {}: print it, delete the file",
                options.out.display()
            )
        }
        KeysAction::Rotate(options) => {
            let mut ring = open(&installation, &options.owner)?;
            let state = ring.rotate(&options.without, &*clock, &*random).map_err(vault_failure)?;
            format!(
                "the next commits are sealed to a new data key, for {} recipients; running captures follow by themselves",
                state.recipients.len()
            )
        }
        KeysAction::Capture(options) => match options.action {
            KeysCaptureAction::Issue { source, out, owner } => {
                refuse_existing(&out)?;
                let name = SourceName::new(&source).map_err(|error| {
                    Failure::because(Exit::Usage, "the source has no possible name", error)
                })?;
                let key = open(&installation, &owner)?
                    .issue_capture_key(Some(name), &*clock, &*random)
                    .map_err(vault_failure)?;
                key.save(&out).map_err(key_failure)?;
                format!("{} can add to {source} and to nothing else", out.display())
            }
            KeysCaptureAction::Retire { signer, owner } => {
                let key = signer_key(&signer)?;
                open(&installation, &owner)?.retire(&key, &*clock).map_err(vault_failure)?;
                format!("{signer} adds nothing more; what it added before stays sound")
            }
        },
    };
    if weakens {
        super::weakened::note(context, &installation, &done);
    }
    let changes = installation.vault(&environment)?.keys().sequence;
    let result = Done { done, changes };
    context.output.result(&result, || format!("{}\n", result.done))?;
    Ok(Exit::Done)
}

fn list(context: &Context, installation: &Installation) -> Result<Exit, Failure> {
    let state = installation.vault(&environment)?.keys();
    let created = installation.vault(&environment)?.manifest().created;
    let drills = installation.key_drills(&environment).unwrap_or_default();
    let proven = |age: &str| drills.iter().filter(|drill| drill.recipient == age).map(|drill| drill.at).max();
    let signer = |signer: &Signer| ListedSigner {
        signer: vault::hex(&signer.key),
        source: signer.source.clone(),
        retired: signer.retired.is_some(),
    };
    let recipient = |recipient: &Recipient| ListedRecipient {
        since: recipient.since.unwrap_or(created),
        proven: proven(&recipient.age),
        recipient: Recipient { since: None, ..recipient.clone() },
    };
    let listed = Listed {
        changes: state.sequence,
        changed: state.changed,
        recipients: state.recipients.iter().map(recipient).collect(),
        signers: state.signers.iter().map(signer).collect(),
    };
    context.output.result(&listed, || {
        let mut rows = vec![["opens", "name", "since", "proven", "recipient"].map(str::to_owned).to_vec()];
        for ListedRecipient { recipient, since, proven } in &listed.recipients {
            rows.push(vec![
                recipient.role.clone(),
                recipient.name.clone().unwrap_or_else(|| "-".to_owned()),
                since.to_string(),
                proven.map_or_else(|| "never".to_owned(), |at| at.to_string()),
                recipient.age.clone(),
            ]);
        }
        let mut signers = vec![["adds to", "standing", "signer"].map(str::to_owned).to_vec()];
        for ListedSigner { signer, source, retired } in &listed.signers {
            let source = source.as_ref().map_or_else(|| "every source".to_owned(), ToString::to_string);
            let standing = if *retired { "retired" } else { "in force" };
            signers.push(vec![source, standing.to_owned(), signer.clone()]);
        }
        format!("{}\n{}", table(&rows), table(&signers))
    })?;
    Ok(Exit::Done)
}

fn drill(context: &Context, installation: &Installation, options: &KeysDrill) -> Result<Exit, Failure> {
    let (key, shares) = key(installation, &options.key)?;
    let reader = VaultReader::open(installation.store(&environment)?, &key).map_err(vault_failure)?;
    let random = &*context.ports.random;
    let mut drill = keys::prove(&reader, options.samples, context.clock().now(), random)?;
    drill.recipient = key.recipient_text();
    drill.shares = shares;
    // The proof is worth recording, and is a proof without: after a loss there is no capture key left.
    let recorded = installation
        .writer(&environment)
        .and_then(|(writer, _)| {
            operations::record(&writer, operations::Kind::KeyDrill, &drill.at.to_string(), &drill)
        })
        .is_ok();
    if !recorded {
        context
            .output
            .say("the drill is not in the operation log: there is no capture key here that may add to it");
    }
    context.output.result(&drill, || {
        format!(
            "proven  {}{} opens the vault: {}, {} and {} read back\n",
            drill.recipient,
            drill
                .shares
                .map_or_else(String::new, |number| format!(" (from {})", counted(number as u64, "share"))),
            counted(drill.commits, "commit"),
            counted(drill.contents, "content"),
            counted(drill.bytes, "byte"),
        )
    })?;
    Ok(Exit::Done)
}

fn split(context: &Context, installation: &Installation, options: &KeysSplit) -> Result<Exit, Failure> {
    let reference = options.owner.key.as_deref().ok_or_else(|| {
        Failure::new(Exit::Usage, "splitting needs the kit").hint("unwipe keys split --key file:kit.txt …")
    })?;
    let (key, _) = key(installation, reference)?;
    let reader = VaultReader::open(installation.store(&environment)?, &key).map_err(vault_failure)?;
    let manifest = reader.vault().manifest();
    let key = key.bound_to(manifest.vault, manifest.fingerprint);
    let random = &*context.ports.random;
    let shares = Share::split(&key, options.threshold, options.shares, random).map_err(key_failure)?;
    refuse_existing(&options.out)?;
    ports::files::create_folder(&options.out)?;
    let place = place(installation);
    for share in &shares {
        let name = |ending: &str| options.out.join(format!("share-{}.{ending}", share.number));
        share.save(&name("txt")).map_err(key_failure)?;
        let page = share.render_page(&place).map_err(key_failure)?;
        ports::files::create_new(&name("html"), page.as_bytes(), 0o600)?;
    }
    let result = Done {
        done: format!(
            "{} pages are in {}, any {} open the vault: print them, give them to different people, delete the folder",
            options.shares,
            options.out.display(),
            options.threshold
        ),
        changes: reader.vault().keys().sequence,
    };
    context.output.result(&result, || format!("{}\n", result.done))?;
    Ok(Exit::Done)
}

fn key(installation: &Installation, reference: &str) -> Result<(RestoreKey, Option<usize>), Failure> {
    Ok(keys::resolve(reference, &Secrets::new(installation.home(), &environment))?)
}

pub(super) fn open(installation: &Installation, owner: &KeysOwner) -> Result<KeyRing, Failure> {
    let reference = owner
        .key
        .as_deref()
        .or(installation.config().restore.key.as_deref())
        .ok_or(service::ServiceError::NoRestoreKey)?;
    let (key, _) = key(installation, reference)?;
    KeyRing::open(installation.store(&environment)?, &key).map_err(vault_failure)
}

fn place(installation: &Installation) -> String {
    installation.config().vault.place.describe(installation.home())
}

fn signer_key(text: &str) -> Result<[u8; 32], Failure> {
    let digits = |at: usize| text.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..32).map(digits).collect();
    bytes.filter(|_| text.len() == 64).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Failure::new(Exit::Usage, "a signer has 64 hexadecimal digits").hint("unwipe keys list")
    })
}

/// Looked at before the vault is changed: a key that cannot be written down would be lost.
pub(super) fn refuse_existing(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::new(Exit::Usage, format!("{} exists already", path.display())));
    }
    Ok(())
}

pub(super) fn vault_failure(error: vault::VaultError) -> Failure {
    service::ServiceError::Vault(error).into()
}

pub(super) fn key_failure(error: vault::keys::KeyError) -> Failure {
    service::ServiceError::Key(error).into()
}
