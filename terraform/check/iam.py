"""What a policy of AWS says of a request, as its documentation has it:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

As much of it as the policies in terraform/modules use. What they do not use is an error, so that nothing is taken for
granted.
"""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One action on one resource. `context` has the condition keys that the request has, in lower case."""

    action: str
    resource: str
    context: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    allowed: bool
    reason: str  # the Sid of the statement that decided


def decide(request, principal, identity_policies, bucket_policy=None):
    """Within one account: an explicit denial anywhere is one; else an allowance anywhere suffices."""
    statements = [s for policy in identity_policies for s in policy["Statement"]]
    if bucket_policy:
        statements += [s for s in bucket_policy["Statement"] if _is_for(s, principal)]
    applying = [s for s in statements if _applies(s, request)]
    for effect, allowed in (("Deny", False), ("Allow", True)):
        for statement in applying:
            if statement["Effect"] == effect:
                return Decision(allowed, statement["Sid"])
    return Decision(False, "nobody allows it")


def _is_for(statement, principal):
    expected = statement["Principal"]
    if expected in ("*", {"AWS": "*"}):
        return True
    if set(expected) == {"Service"}:
        return principal in _list(expected["Service"])
    raise ValueError(f"a principal of another kind: {expected}")


def _applies(statement, request):
    unknown = set(statement) - {"Sid", "Effect", "Principal", "Action", "Resource", "NotResource", "Condition"}
    if unknown:
        raise ValueError(f"elements that are not known here: {unknown}")
    if not any(matches(pattern, request.action, ignore_case=True) for pattern in _list(statement["Action"])):
        return False
    if "NotResource" in statement:
        concerned = not any(matches(pattern, request.resource) for pattern in _list(statement["NotResource"]))
    else:
        concerned = any(matches(pattern, request.resource) for pattern in _list(statement["Resource"]))
    return concerned and all(
        _holds(operator, key.lower(), _list(values), request.context)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _holds(operator, key, values, context):
    present = key in context
    if operator == "Null":
        return (values == ["true"]) != present
    if operator in ("StringEquals", "Bool"):
        return present and context[key] in values
    if operator == "ArnEquals":
        return present and any(matches(value, context[key]) for value in values)
    if operator == "ArnNotEquals":  # a negated operator holds where the key is missing
        return not present or not any(matches(value, context[key]) for value in values)
    raise ValueError(f"a condition of another kind: {operator}")


def matches(pattern, text, ignore_case=False):
    """`*` is any characters, slashes too, and `?` is one."""
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.fullmatch(expression, text, re.S | (re.I if ignore_case else 0)) is not None


def _list(value):
    return value if isinstance(value, list) else [value]
