"""What sees a rollout to its end while every host sleeps: the follow queue and the follower."""
