//! `stories.*`, as far as somebody needs it who downloads what is in them. "Stories".

use super::view::{View, peer};
use super::{Call, input_peer, unix32};
use crate::fault::Fault;
use crate::state::composed::{self, Story};
use tdl_core::tl::api::functions::stories as f;
use tdl_core::tl::api::{enums, types};

/// Stories of one `stories.getStoriesByID`.
const MAX_IDS: usize = 100;

impl View<'_> {
    /// A story.
    pub(crate) fn story(&self, story: &Story) -> Result<enums::StoryItem, Fault> {
        Ok(types::StoryItem {
            public: true,
            out: story.owner == self.viewer,
            id: story.id,
            date: unix32(story.date),
            expire_date: unix32(story.expires),
            caption: (!story.caption.is_empty()).then(|| story.caption.as_str().into()),
            media: self.renewed(&story.body)?,
            ..types::StoryItem::default()
        }
        .into())
    }
}

/// Whatever their time: whoever asks by number has seen them somewhere. Numbers that there are not are passed over.
pub(crate) fn stories_by_id(call: &mut Call<'_>, req: f::GetStoriesById) -> Result<enums::stories::Stories, Fault> {
    let viewer = call.user_id()?;
    if req.id.is_empty() || req.id.len() > MAX_IDS {
        return Err(Fault::StoryIdInvalid);
    }
    let (state, now) = (call.state, call.now);
    state.read(|db| {
        let owner = input_peer(state, db, viewer, &req.peer)?.id;
        let view = View { state, db, viewer, now };
        let found = composed::stories(db, owner)?;
        let stories: Vec<_> =
            found.iter().filter(|story| req.id.contains(&story.id)).map(|story| view.story(story)).collect::<Result<_, _>>()?;
        let count = i32::try_from(stories.len()).unwrap_or(i32::MAX);
        let (users, chats) = (view.users([owner])?, Vec::new());
        Ok(types::stories::Stories { count, stories, pinned_to_top: None, chats, users }.into())
    })
}

/// Those whose time is not over.
pub(crate) fn peer_stories(call: &mut Call<'_>, req: f::GetPeerStories) -> Result<enums::stories::PeerStories, Fault> {
    let viewer = call.user_id()?;
    let (state, now) = (call.state, call.now);
    state.read(|db| {
        let owner = input_peer(state, db, viewer, &req.peer)?.id;
        let view = View { state, db, viewer, now };
        let found = composed::stories(db, owner)?;
        let stories = found.iter().filter(|story| story.expires > now).map(|story| view.story(story));
        let stories = types::PeerStories { peer: peer(owner), max_read_id: None, stories: stories.collect::<Result<_, _>>()? };
        Ok(types::stories::PeerStories { stories: stories.into(), chats: Vec::new(), users: view.users([owner])? }.into())
    })
}

/// One's own. Answers with those that there were.
pub(crate) fn delete_stories(call: &mut Call<'_>, req: f::DeleteStories) -> Result<Vec<i32>, Fault> {
    let viewer = call.user_id()?;
    if req.id.is_empty() || req.id.len() > MAX_IDS {
        return Err(Fault::StoryIdInvalid);
    }
    let state = call.state;
    state.write(|tx| {
        if input_peer(state, tx, viewer, &req.peer)?.id != viewer {
            return Err(Fault::PeerIdInvalid);
        }
        let mut deleted = Vec::new();
        for id in req.id {
            if composed::delete_story(tx, viewer, id)? {
                deleted.push(id);
            }
        }
        Ok(deleted)
    })
}
