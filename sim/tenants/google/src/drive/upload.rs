//! Content that comes with requests: how it comes is the same for all services.

use super::{
    create, update,
    write::{Metadata, Upload},
};
use crate::{
    call::{Answer, Body, Call, Reply},
    tenant::Tenant,
    upload::{Received, finish, receive},
};

/// Makes a file of what comes.
pub(super) fn create(tenant: &mut Tenant, call: &Call) -> Answer {
    if begins(call) {
        create::check(tenant, call, &Metadata::read(&call.object()?)?)?;
    }
    take(tenant, call, |tenant, metadata, upload| create::make(tenant, call, metadata, Some(upload)))
}

/// Gives a file the content that comes.
pub(super) fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    if begins(call) {
        update::check(tenant, call, &Metadata::read(&call.object()?)?, true)?;
    }
    take(tenant, call, |tenant, metadata, upload| update::change(tenant, call, metadata, Some(upload)))
}

/// Tells whether a resumable upload begins: whatever can be refused without the content is refused then.
fn begins(call: &Call) -> bool {
    let resumable = call.query("uploadType") == Some("resumable") || call.path.starts_with("/resumable/");
    resumable && call.query("upload_id").is_none()
}

fn take(
    tenant: &mut Tenant,
    call: &Call,
    act: impl FnOnce(&mut Tenant, &Metadata, Upload) -> Answer,
) -> Answer {
    let upload = match receive(tenant, call)? {
        Received::Step(reply) => return Ok(reply),
        Received::Whole(upload) => upload,
    };
    let metadata = upload.metadata().and_then(|fields| Metadata::read(&fields));
    let answer = metadata.and_then(|metadata| {
        let came = Upload { parts: vec![upload.media.clone()], media_type: Some(upload.media_type.clone()) };
        act(tenant, &metadata, came)
    });
    finish(tenant, &upload, answer.map(made))
}

/// Makes the answer now: it is kept for clients that ask for it again.
fn made(reply: Reply) -> Reply {
    match reply.body {
        Body::Later(make) => Reply { body: Body::Json(make()), ..reply },
        body => Reply { body, ..reply },
    }
}
