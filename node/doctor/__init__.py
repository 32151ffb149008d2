"""`mailio doctor`: looks at what can be wrong, from the clock to the DNS, and says what mends it. It sends no
mail, and contacts nobody but whom the owner has named: name servers, smarthost, providers, his own names.
"""

from node.doctor.certificate import certificate
from node.doctor.ground import clock, disk
from node.doctor.peers import first_peers
from node.doctor.ports import answers, outside
from node.doctor.rounds import Look, Tell, examine
from node.doctor.sending import reverse
from node.doctor.web import https, policy
from node.doctor.zone import Names, domain, name_server

__all__ = [
    "Look",
    "Names",
    "Tell",
    "answers",
    "certificate",
    "clock",
    "disk",
    "domain",
    "examine",
    "first_peers",
    "https",
    "name_server",
    "outside",
    "policy",
    "reverse",
]
