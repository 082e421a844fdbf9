from delivery import apprise, mail, teams, webhook
from delivery.credentials import TargetSecretError
from delivery.message import DeliveryAnswer, Message
from delivery.targets import AnyTarget, AppriseTarget, EmailTarget, TeamsTarget


async def send(target: AnyTarget, message: Message) -> DeliveryAnswer:
    """Makes one attempt. Raises nothing that a target can cause."""
    try:
        if isinstance(target, TeamsTarget):
            return await teams.send(target, message)
        if isinstance(target, EmailTarget):
            return await mail.send(target, message)
        if isinstance(target, AppriseTarget):
            return await apprise.send(target, message)
        return await webhook.send(target, message)
    except TargetSecretError as error:
        # Somebody may add a forgotten secret while attempts go on.
        return DeliveryAnswer(False, str(error), retryable=True)
