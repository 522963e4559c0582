//! Files that stand in one album.

use futures_util::future::join_all;
use tdl::chat::{ChatError, send};
use tdl::client::InvokeError;
use tdl::transfer::RunRecord;

use super::item::Sending;
use super::run::Run;
use crate::cli::exit::CliError;
use crate::cli::failure::Failure;

impl Run<'_> {
    /// Sends the items of `list` that are not done yet as one album. One that fails is left out of it.
    pub(super) async fn album(&self, list: &[u32], record: &RunRecord) -> Result<(), CliError> {
        let ahead = list.iter().filter(|&&index| !record.is_done(index)).map(|&index| self.ahead(index));
        let mut ready = Vec::new();
        let mut fatal = None;
        for result in join_all(ahead).await {
            match result {
                Ok(Some(sending)) => ready.push(sending),
                Ok(None) => {}
                Err(error) => fatal = fatal.or(Some(error)),
            }
        }
        if let Some(error) = fatal {
            for sending in ready {
                sending.progress.abandon();
            }
            return Err(error);
        }
        // The server may have made a file of what was to be a photo: it does not stand beside photos any more.
        let class = ready.first().map(|first| first.goes_as.class());
        let (together, apart): (Vec<_>, Vec<_>) = ready.into_iter().partition(|sending| Some(sending.goes_as.class()) == class);
        self.post_album(together, record).await?;
        for mut sending in apart {
            let result = self.alone(&mut sending).await;
            self.end(sending, result, record).await?;
        }
        Ok(())
    }

    /// Uploads one item and gives it to the server; nothing is posted yet. `None` when it failed, which has been reported then.
    async fn ahead(&self, index: u32) -> Result<Option<Sending<'_>>, CliError> {
        let item = self.item(index)?;
        let _turn = self.files.acquire().await;
        let mut sending = match self.begin(index, item).await {
            Ok(sending) => sending,
            Err(failure) => return self.failed(item, failure).map(|()| None),
        };
        match self.keep(&mut sending).await {
            Ok(()) => Ok(Some(sending)),
            Err(failure) => self.give_up(item, sending.progress, failure).map(|()| None),
        }
    }

    /// Sees to it that the server has made a photo or a document of the file.
    async fn keep(&self, sending: &mut Sending<'_>) -> Result<(), Failure> {
        if sending.job.media().is_none() {
            let take = async |_: &Sending<'_>, media| send::kept(self.client, self.peer, media, self.args.spoiler).await;
            let media = self.deliver(sending, take).await?;
            sending.job.set_media(&media)?;
        }
        Ok(())
    }

    /// Posts them, in order.
    async fn post_album(&self, mut list: Vec<Sending<'_>>, record: &RunRecord) -> Result<(), CliError> {
        let mut again = false;
        let outcome = loop {
            if list.len() < 2 {
                break Ok(None);
            }
            let messages: Vec<_> =
                list.iter().filter_map(|sending| sending.job.media().map(|media| sending.message(media))).collect();
            match send::album(self.client, &self.post(), &messages).await {
                Err(ChatError::Invoke(InvokeError::Rpc(error))) if !again && error.name.starts_with("FILE_REFERENCE") => {
                    // An earlier run gave them to the server, too long ago.
                    again = true;
                    if let Err(failure) = self.keep_again(&mut list).await {
                        break Err(failure);
                    }
                }
                other => break other.map_err(Failure::from),
            }
        };
        match outcome {
            Ok(Some(ids)) => {
                for (sending, id) in list.into_iter().zip(ids) {
                    self.end(sending, Ok(Some(id)), record).await?;
                }
            }
            // Some or all of them are there, from an earlier attempt. The server knows each by its number, so none is posted twice.
            Ok(None) => {
                for mut sending in list {
                    let result = self.alone(&mut sending).await;
                    self.end(sending, result, record).await?;
                }
            }
            Err(Failure::Item(why)) => {
                for sending in list {
                    self.end(sending, Err(Failure::Item(why.clone())), record).await?;
                }
            }
            Err(Failure::Run(error)) => {
                for sending in list {
                    sending.progress.abandon();
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn keep_again(&self, list: &mut [Sending<'_>]) -> Result<(), Failure> {
        for sending in list {
            sending.job.begin_anew()?;
            self.keep(sending).await?;
        }
        Ok(())
    }
}
