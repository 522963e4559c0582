//! `tdl dl --serve`: the files over HTTP instead of into a directory.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tdl::chat::links::MessageLink;
use tdl::serve::access::Token;
use tdl::serve::telegram::{Messages, Wanted};
use tdl::serve::{Answered, Config, Limits, Observer, ServeError, Server};
use tdl::transfer::flow::{self, Flow, Notices};

use super::args::DlArgs;
use super::items;
use crate::cli::context::Context;
use crate::cli::exit::{CliError, ExitCode};
use crate::cli::output::{Output, printable};
use crate::cli::select::Extensions;

/// Longer waits of the server are answered to the client at once, with 503 and when to come again: nobody looks at a player that waits
/// for minutes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Parts of one file in flight: several connections may want the same file.
const PARTS: usize = 16;

/// The arguments of `tdl dl --serve`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Serving")]
pub(crate) struct ServeArgs {
    /// Serve the files over HTTP, until interrupted, instead of downloading them; and those of any message, at /CHAT/MESSAGE
    #[arg(long)]
    pub(super) serve: bool,

    /// The port to listen on; 0 takes any that is free
    #[arg(long, value_name = "N", default_value_t = 8080, requires = "serve")]
    pub(super) port: u16,

    /// The address to listen on; others than those of this machine itself let others in, and only with the token
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), requires = "serve")]
    pub(super) listen: IpAddr,

    /// A name by which clients call this machine, besides its addresses and localhost
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "serve")]
    pub(super) host_name: Vec<String>,

    /// Ask for no token: everybody on this machine may fetch whatever this account can see
    #[arg(long, requires = "serve")]
    pub(super) no_token: bool,
}

/// Serves until interrupted. That is how it ends, and no failure.
pub(super) async fn run(context: &Context, args: &DlArgs) -> Result<ExitCode, CliError> {
    let links = links(args)?;
    let count = links.len();
    let serve = &args.serve;
    let token = match serve.no_token {
        true => None,
        false => Some(Token::random().map_err(|e| CliError::failed(format!("the system has no randomness: {e}")))?),
    };
    let (client, _) = context.logged_in_with_patience(PATIENCE).await?;
    context.interrupt.take_over();
    let limits = flow::Limits {
        max_wait: PATIENCE.min(context.settings.max_flood_wait),
        rate: args.limit_rate,
        ..flow::Limits::new(PARTS, context.settings.limit.into())
    };
    let flow = Flow::watched(limits, Notices(client.clone()));
    let extensions = Extensions::new(&args.include, &args.exclude);
    let wanted: Wanted = Box::new(move |name| extensions.admits(name));
    let config = Config {
        address: SocketAddr::new(serve.listen, serve.port),
        token,
        names: serve.host_name.clone(),
        limits: Limits::default(),
        observer: Some(log(&context.output)),
    };
    let shelf = Arc::new(Messages::new(&client, &flow, links, args.which.selection(), args.group, wanted));
    let outcome = async {
        let server = Server::bind(config, shelf).await.map_err(|error| refused(&error))?;
        if context.output.json {
            context.output.json_line(&json!({
                "ready": true,
                "url": server.url(),
                "address": server.address().to_string(),
                "messages": count,
            }))?;
        } else {
            context.output.line(&server.url())?;
        }
        let what = match count {
            0 => "the file of any message".to_owned(),
            1 => "1 message, and any other".to_owned(),
            n => format!("{n} messages, and any other"),
        };
        context.output.note(&format!("serving {what} at CHAT/MESSAGE below that address   (Ctrl-C ends it)"));
        server.run(context.interrupt.wait()).await;
        context.output.note("the server has stopped");
        Ok(ExitCode::Done)
    }
    .await;
    client.close().await;
    outcome
}

/// The messages of the list. There need not be any.
fn links(args: &DlArgs) -> Result<Vec<MessageLink>, CliError> {
    if args.url.is_empty() && args.file.is_empty() && args.link_list.is_none() {
        return Ok(Vec::new());
    }
    Ok(items::collect(args, false)?.links())
}

fn refused(error: &ServeError) -> CliError {
    match error {
        ServeError::Listen(_) => CliError::usage(error.to_string()).advise("leave --no-token out, or --listen"),
        ServeError::Bind { .. } => CliError::failed(error.to_string())
            .advise("choose another port with --port (0 takes any that is free), or an address of this machine with --listen"),
    }
}

/// With `-v`, a line for each request.
fn log(output: &Output) -> Observer {
    let output = output.clone();
    Arc::new(move |answered| output.detail(&line(answered)))
}

fn line(answered: &Answered) -> String {
    let Answered { peer, method, path, status, sent, whole, error, took } = answered;
    let mut line = format!("{peer} {method} {} {status} {sent} B {:.3} s", printable(path), took.as_secs_f64());
    match (whole, error) {
        (_, Some(error)) => line.push_str(&format!(" cut off: {}", printable(error))),
        (false, None) => line.push_str(" the client hung up"),
        (true, None) => {}
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_line() {
        let mut answered = Answered {
            peer: ([127, 0, 0, 1], 4242).into(),
            method: "GET".to_owned(),
            path: "/me/1".to_owned(),
            status: 206,
            sent: 1024,
            whole: true,
            error: None,
            took: Duration::from_millis(1500),
        };
        assert_eq!(line(&answered), "127.0.0.1:4242 GET /me/1 206 1024 B 1.500 s");
        answered.whole = false;
        assert_eq!(line(&answered), "127.0.0.1:4242 GET /me/1 206 1024 B 1.500 s the client hung up");
        answered.error = Some("gone\n".to_owned());
        assert_eq!(line(&answered).lines().count(), 1);
    }
}
