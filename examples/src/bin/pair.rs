//! Two peers in one process: offer, answer, a data channel, a message there and back.

use peerloom::{DataChannelOptions, Event, PeerConnection};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let alice = PeerConnection::builder().build().await?;
    let bob = PeerConnection::builder().build().await?;

    // Alice offers a channel, Bob answers. Between machines, the descriptions travel as JSON.
    let channel = alice.create_data_channel("chat", DataChannelOptions::default())?;
    alice
        .set_local_description(alice.create_offer().await?)
        .await?;
    alice.gathering_complete().await;
    bob.set_remote_description(alice.local_description().expect("just set"))
        .await?;
    bob.set_local_description(bob.create_answer().await?)
        .await?;
    bob.gathering_complete().await;
    alice
        .set_remote_description(bob.local_description().expect("just set"))
        .await?;

    // Sending waits until the channel is open.
    channel.send("hello").await?;
    while let Some(event) = bob.next_event().await {
        if let Event::DataChannel(incoming) = event {
            let message = incoming.recv().await.ok_or("closed")?;
            println!("Bob got {message:?} on {:?}", incoming.label());
            incoming.send(message).await?;
            break;
        }
    }
    println!("Alice got {:?} back", channel.recv().await.ok_or("closed")?);

    alice.close().await;
    bob.close().await;
    Ok(())
}
