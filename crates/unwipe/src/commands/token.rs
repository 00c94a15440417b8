//! `unwipe token`

use access::{Principal, TokenNote};

use super::person::say_what_waits;
use crate::{
    accounts,
    arguments::{Token as Options, TokenAction},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::table,
};

pub(crate) fn run(context: &Context, options: Options) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let access = accounts::open(context, &installation)?;
    let by = Principal::Host(context.person());
    match options.action {
        TokenAction::List => {
            let tokens = access.tokens()?;
            context.output.result(&tokens, || list_text(context, &tokens))?;
            return Ok(Exit::Done);
        }
        TokenAction::Create(options) => {
            let scopes = options.scopes.into_iter().collect();
            let new = access.create_token(&options.service, scopes, options.lifetime, &by)?;
            context.output.result(&new, || {
                format!(
                    "{}\n\nShown once. In force until {}; end it before with: unwipe token revoke {}\n",
                    new.token, new.note.expires_at, new.note.name
                )
            })?;
        }
        TokenAction::Revoke { service } => {
            let note = access.revoke_token(&service, &by)?;
            context.output.result(&note, || format!("the token of {service} opens nothing any more\n"))?;
        }
    }
    say_what_waits(context, &access);
    Ok(Exit::Done)
}

fn list_text(context: &Context, tokens: &[TokenNote]) -> String {
    if tokens.is_empty() {
        return "no token is in force\n".to_owned();
    }
    let now = context.clock().now();
    let mut rows = vec![["service", "scopes", "standing", "until", "made by"].map(str::to_owned).to_vec()];
    for note in tokens {
        let scopes: Vec<&str> = note.scopes.iter().map(|scope| scope.as_str()).collect();
        let standing = if note.is_in_force(now) { "in force" } else { "revoked" };
        rows.push(vec![
            note.name.to_string(),
            scopes.join(", "),
            standing.to_owned(),
            note.expires_at.to_string(),
            note.created_by.to_string(),
        ]);
    }
    table(&rows)
}
