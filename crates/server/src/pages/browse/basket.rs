//! What somebody has put aside to be brought back.

use std::sync::Arc;

use access::{Permission, SignedIn};
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect},
};
use service::{
    browse::{At, Browse},
    words,
    workshop::{RestoreWish, shell_word},
};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    item::{Place, title_at},
    lines::{pick_text, stream_title},
    moment::{ProofWord, proof},
    show,
    source::plan_one,
    source_name, stream_name,
};
use crate::{
    baskets::{Full, Group, Pick, Picked},
    browsing::browse,
    fields::Fields,
    links::{back, item_link, stream_path},
    problem::Problem,
    site::Site,
    visitor::{Member, Posted},
};

/// So many things are taken from one page.
const PICKS_MAX: usize = 500;
/// So many things of a group are shown.
const SHOWN: usize = 100;
/// So many groups.
const GROUPS_SHOWN: usize = 50;
/// A command that names more than so many things is not shown.
const COMMAND_KEYS_MAX: usize = 20;

/// Something in the basket.
struct Line {
    title: String,
    address: String,
    pick: String,
}

/// Everything of one source, stream and moment.
struct Card {
    source: String,
    stream: String,
    stream_title: String,
    stream_address: String,
    commit: u64,
    /// The moment in words.
    moment: String,
    count: String,
    lines: Vec<Line>,
    more: usize,
    proof: ProofWord,
    /// Why there is no plan, where there is none.
    no_plan: Option<&'static str>,
    command: Option<String>,
}

#[derive(Template)]
#[template(path = "basket.html")]
struct BasketPage {
    frame: Frame,
    cards: Vec<Card>,
    more_groups: usize,
    count: String,
    may_plan: bool,
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
) -> Page {
    visitor.require(Permission::Content)?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Browse, "Basket");
    let may_plan = visitor.may(Permission::Plan);
    let page = elsewhere(&site, move |site| {
        let groups = site.browsing.baskets.groups(&person.csrf);
        let count: usize = groups.iter().map(|group| group.items.len()).sum();
        let count = words::counted(count as u64, "thing");
        let more_groups = groups.len().saturating_sub(GROUPS_SHOWN);
        let browse = browse(site)?;
        // Every page has its bound: a basket of many groups shows fewer of each.
        let each = (10 * SHOWN / groups.len().max(1)).clamp(5, SHOWN);
        let cards = groups.iter().take(GROUPS_SHOWN).map(|group| card(site, &browse, group, each));
        Ok(BasketPage { cards: cards.collect(), more_groups, count, may_plan, frame })
    });
    show(&page.await?)
}

fn card(site: &Site, browse: &Browse, group: &Group, each: usize) -> Card {
    let kind = browse.kind(&group.source).unwrap_or_default();
    let moment = moment_of(group);
    let lines = group.items.iter().take(each).map(|(key, title)| Line {
        title: title.clone(),
        address: item_link(&group.source, &group.stream, key, &group.commit.to_string()),
        pick: pick_text(&Pick {
            source: group.source.clone(),
            stream: group.stream.clone(),
            commit: group.commit,
            key: key.clone(),
        }),
    });
    let is_tree = kind == "files";
    let command = if is_tree {
        Some(format!("unwipe rewind {} --to FOLDER", shell_word(&format!("{}@{moment}", group.source))))
    } else {
        (group.items.len() <= COMMAND_KEYS_MAX).then(|| wish_of(group).command())
    };
    Card {
        source: group.source.to_string(),
        stream_title: stream_title(&group.stream),
        stream_address: stream_path(&group.source, &group.stream),
        commit: group.commit,
        count: words::counted(group.items.len() as u64, "thing"),
        lines: lines.collect(),
        more: group.items.len().saturating_sub(each),
        proof: proof(site, &group.source),
        no_plan: is_tree.then_some(
            "A folder tree comes back as a whole into a new folder beside the one in use, on the host \
             that asks for it; nothing of production is changed, and so there is no plan to approve. Take from there \
             what you chose.",
        ),
        command,
        stream: group.stream.clone(),
        moment: group.at.map_or_else(|| format!("commit {}", group.commit), words::moment),
    }
}

/// Returns the moment as a command takes it.
fn moment_of(group: &Group) -> String {
    group.at.map_or_else(|| group.commit.to_string(), |at| at.to_string())
}

fn wish_of(group: &Group) -> RestoreWish {
    RestoreWish::Items {
        source: group.source.clone(),
        stream: group.stream.clone(),
        moment: moment_of(group),
        keys: group.items.iter().map(|(key, _)| key.clone()).collect(),
    }
}

fn read_pick(text: &str) -> Result<Pick, Problem> {
    let fields = Fields::read(text.as_bytes())?;
    Ok(Pick {
        source: source_name(fields.required("source")?)?,
        stream: fields.required("stream")?.to_owned(),
        commit: commit(&fields)?,
        key: fields.required("key")?.to_owned(),
    })
}

fn commit(fields: &Fields) -> Result<u64, Problem> {
    let text = fields.required("commit")?;
    text.parse().map_err(|_| Problem::unusable("This is no number of a commit."))
}

fn picks(fields: &Fields) -> Result<Vec<Pick>, Problem> {
    let picks: Vec<Pick> = fields.all("pick").take(PICKS_MAX + 1).map(read_pick).collect::<Result<_, _>>()?;
    if picks.len() > PICKS_MAX {
        return Err(Problem::unusable("So many things cannot be chosen at a time."));
    }
    Ok(picks)
}

impl From<Full> for Problem {
    fn from(full: Full) -> Self {
        Self::of(StatusCode::CONFLICT, &full)
            .hint(Some("plan the restore of what is in it, or take things out: /basket".to_owned()))
    }
}

/// Puts what was chosen into the basket.
pub(super) async fn add(State(site): State<Arc<Site>>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    visitor.require(Permission::Content)?;
    let next = back(fields.get("back"));
    elsewhere(&site, move |site| {
        let browse = browse(site)?;
        let things = picks(&fields)?.into_iter().map(|pick| known(&browse, pick));
        Ok(site.browsing.baskets.add(&person.csrf, things.collect::<Result<_, Problem>>()?)?)
    })
    .await?;
    Ok(Redirect::to(&next).into_response())
}

/// Only what is stored can be put into a basket.
fn known(browse: &Browse, pick: Pick) -> Result<(Pick, Picked), Problem> {
    browse.kind(&pick.source)?;
    let place =
        Place { source: pick.source.clone(), stream: stream_name(&pick.stream)?, key: pick.key.clone() };
    let (entry, stand) = title_at(browse, &place, At::Commit(pick.commit))?;
    Ok((pick, Picked { title: entry.title, at: stand.at }))
}

/// Takes what was chosen out.
pub(super) async fn remove(State(site): State<Arc<Site>>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    visitor.require(Permission::Content)?;
    site.browsing.baskets.remove(&person.csrf, &picks(&fields)?);
    Ok(Redirect::to("/basket").into_response())
}

/// Takes everything out.
pub(super) async fn clear(State(site): State<Arc<Site>>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), _) = posted;
    visitor.require(Permission::Content)?;
    site.browsing.baskets.clear(&person.csrf);
    Ok(Redirect::to("/basket").into_response())
}

/// Plans the restore of one group.
pub(super) async fn plan(State(site): State<Arc<Site>>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    visitor.require(Permission::Plan)?;
    let group = find(&site, &person, &fields)?;
    let source = group.source.clone();
    let kind = elsewhere(&site, move |site| Ok(browse(site)?.kind(&source)?.to_owned())).await?;
    if kind == "files" {
        let what = shell_word(&format!("{}@{}", group.source, moment_of(&group)));
        return Err(Problem::unusable(
            "A folder tree comes back into a new folder; there is no plan for it.",
        )
        .hint(Some(format!("unwipe rewind {what} --to FOLDER")))
        .into());
    }
    plan_one(&site, &visitor, &person, wish_of(&group)).await
}

fn find(site: &Site, person: &SignedIn, fields: &Fields) -> Result<Group, Problem> {
    let source = source_name(fields.required("source")?)?;
    let (stream, commit) = (fields.required("stream")?, commit(fields)?);
    let groups = site.browsing.baskets.groups(&person.csrf);
    groups
        .into_iter()
        .find(|group| group.source == source && group.stream == stream && group.commit == commit)
        .ok_or_else(|| Problem::missing("such thing in your basket"))
}
